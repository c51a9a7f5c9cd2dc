"""Run and sweep directories, opened."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from . import _illume
from ._illume import Error
from .archive import Archive, frame
from .optimizer import solution

if TYPE_CHECKING:
    import pandas


def load(path: Union[str, os.PathLike]) -> "Union[Run, Sweep]":
    """Opens a run directory, an archive (``archive.h5``, ``checkpoint.h5``) or a sweep's directory."""
    path = Path(path)
    if path.is_dir():
        if _illume.is_sweep(path):
            return Sweep(path)
        for name in ("archive.h5", "checkpoint.h5"):
            if (path / name).is_file():
                return Run(path / name)
        raise Error(f"{path} is neither the directory of a run (it has no archive.h5) nor that of a sweep (it has no plan.toml)")
    if not path.exists():
        raise Error(f"{path}: there is no such file or directory")
    return Run(path)


class Run:
    """A run: what its files hold, read when it is asked for.

    path: the archive or checkpoint that is read.
    directory: where it lies.
    task, strategy: their names.
    seed, generation, evaluations: of the run; finished generations, and evaluations so far.
    """

    def __init__(self, path: Union[str, os.PathLike]):
        self.path = Path(path)
        self.directory = self.path.parent
        self._file = _illume.File(self.path)
        self.attributes: dict[str, Any] = self._file.attributes()
        self.task: str = self.attributes["task"]
        self.strategy: str = self.attributes["strategy"]
        self.seed: int = self.attributes["seed"]
        self.generation: int = self.attributes["generation"]
        self.evaluations: int = self.attributes["evaluations"]

    def __repr__(self) -> str:
        return f"<illume.Run {self.path}: {self.strategy} on {self.task}, generation {self.generation}, {self.evaluations} evaluations>"

    @cached_property
    def config(self) -> dict[str, Any]:
        """The whole configuration, every parameter with its value."""
        return self._file.config()

    @cached_property
    def archive(self) -> Archive:
        """The elites; genes are read, and those of lineages decoded, when they are asked for."""
        return Archive(self._file.archive(), self._file.genomes)

    @property
    def elites(self) -> "pandas.DataFrame":
        """A row for each elite, indexed by its cell, without genes (``archive.to_pandas(genomes=True)`` has them)."""
        return self.archive.to_pandas()

    @property
    def history(self) -> "pandas.DataFrame":
        """A row for each generation, thinned when it grew too long; columns as docs/format.md has them."""
        return frame(self._file.history())

    @property
    def metrics(self) -> dict[str, float]:
        """filled, coverage, qd_score, max_fitness, mean_fitness of the archive."""
        return self.archive.metrics

    @property
    def solution(self) -> Optional[dict[str, Any]]:
        """The strategy's own result, if that is not the archive, as docs/format.md has it, with the ``genome`` of a lineage decoded; else None."""
        return solution(self._file.solution())

    @property
    def log(self) -> list[dict[str, Any]]:
        """What happened: the events of ``log.jsonl``; empty for a file that lies alone."""
        try:
            lines = (self.directory / "log.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines if line.endswith("}")]  # the last one may be on its way


class Runs(Mapping):
    """Runs of a sweep by their ids, opened when they are asked for."""

    def __init__(self, directories: dict[str, Path]):
        self._directories = directories
        self._opened: dict[str, Run] = {}

    def __getitem__(self, id: str) -> Run:
        if id not in self._directories:
            raise KeyError(id)
        if id not in self._opened:
            run = load(self._directories[id])
            assert isinstance(run, Run)
            self._opened[id] = run
        return self._opened[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._directories)

    def __len__(self) -> int:
        return len(self._directories)

    def __repr__(self) -> str:
        return f"<{len(self)} runs: {', '.join(list(self)[:3])}{', ...' if len(self) > 3 else ''}>"


class Sweep:
    """A sweep's directory.

    runs: its runs by id, opened when they are asked for.
    parameters: for each run the keys of its configuration that were set.
    """

    def __init__(self, path: Union[str, os.PathLike]):
        self.path = Path(path)
        self._csv, runs = _illume.sweep(self.path)
        self.runs = Runs({id: Path(directory) for id, directory, _ in runs})
        self.parameters: dict[str, dict[str, Any]] = {id: set for id, _, set in runs}

    def __repr__(self) -> str:
        return f"<illume.Sweep {self.path}: {len(self.runs)} runs>"

    @property
    def table(self) -> "pandas.DataFrame":
        """A row for each planned run, indexed by its id: configuration, variant, seed, status, the parameters that were set, and what it ended with;
        as in ``sweep.csv``."""
        import pandas

        return pandas.read_csv(io.StringIO(self._csv), index_col="id", dtype={"id": str, "configuration": str, "variant": str})
