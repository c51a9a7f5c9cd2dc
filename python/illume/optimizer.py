"""Ask and tell: candidates are evaluated in Python, all else is the engine's."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Union

import numpy as np

from ._illume import Engine, Error, parse_toml
from .archive import Archive, Axis, frame

if TYPE_CHECKING:
    import pandas

Descriptor = Sequence[Union[tuple, Mapping[str, Any]]]


def path_of(config: Union[Mapping[str, Any], str, os.PathLike]) -> Optional[Path]:
    """The path that a configuration is given by; None for a dict or a text: a string with a line break, or with "=" where no file has that name."""
    if isinstance(config, Mapping) or isinstance(config, str) and ("\n" in config or "=" in config and not os.path.exists(config)):
        return None
    if not isinstance(config, (str, os.PathLike)):
        raise Error(f"config: expected a dict, a TOML text or the path of a TOML file, got a {type(config).__name__}")
    return Path(config)


def configuration(config: Union[Mapping[str, Any], str, os.PathLike]) -> dict[str, Any]:
    """A configuration as a dict: a dict, the text of a TOML file, or the path of one."""
    if isinstance(config, Mapping):
        return {key: dict(value) if isinstance(value, Mapping) else value for key, value in config.items()}
    path = path_of(config)
    if path is None:
        return parse_toml(str(config), "config")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Error(f"cannot read the configuration {path}: {error}") from None
    return parse_toml(text, str(path))


def axes(descriptor: Descriptor) -> list[dict[str, Any]]:
    """The axes of a descriptor, given as ``(name, lower, upper)``, with a unit behind if there is one, or as dicts of these."""
    found = []
    if isinstance(descriptor, (str, Mapping)) or not isinstance(descriptor, Iterable):
        raise Error(f'descriptor: expected a list of axes ("name", lower, upper), got {descriptor!r}')
    for number, axis in enumerate(descriptor):
        wrong = Error(f'descriptor: expected axes as ("name", lower, upper) or dicts of name, lower, upper, got {axis!r} for axis {number}')
        if isinstance(axis, Mapping):
            if not {"name", "lower", "upper"} <= set(axis) <= {"name", "lower", "upper", "unit"}:
                raise wrong
            axis = (axis["name"], axis["lower"], axis["upper"], axis.get("unit", ""))
        if isinstance(axis, str) or not isinstance(axis, Sequence) or not 3 <= len(axis) <= 4:
            raise wrong
        try:
            name, lower, upper, unit = str(axis[0]), float(axis[1]), float(axis[2]), str(axis[3]) if len(axis) == 4 else ""
        except (TypeError, ValueError):
            raise wrong from None
        found.append({"name": name, "unit": unit, "lower": lower, "upper": upper})
    return found


def interval(name: str, given: Any) -> list[float]:
    try:
        lower, upper = (float(x) for x in given)
    except (TypeError, ValueError):
        raise Error(f"{name}: expected two numbers (lower, upper), got {given!r}") from None
    return [lower, upper]


def start(given: Any) -> Any:
    if isinstance(given, Mapping):
        if set(given) != {"mean", "sd"}:
            raise Error(f'init: expected (lower, upper) or {{"mean": ..., "sd": ...}}, got {given!r}')
        return {key: real(f"init: {key}", given[key]) for key in ("mean", "sd")}
    return interval("init", given)


def real(name: str, given: Any) -> float:
    try:
        return float(given)
    except (TypeError, ValueError, OverflowError):
        raise Error(f"{name}: expected a number, got {given!r}") from None


def whole(name: str, given: Any) -> int:
    try:
        return operator.index(given)
    except TypeError:
        raise Error(f"{name}: expected an integer, got {given!r}") from None


def gene_tables(given: Any) -> list[dict[str, Any]]:
    try:
        return [dict(gene) for gene in given]
    except (TypeError, ValueError):
        raise Error(f"genes: expected a list of dicts as [[task.genes]], got {given!r}") from None


def on(threads: Optional[int]) -> Optional[int]:
    """A number of threads."""
    if threads is not None and not 1 <= whole("threads", threads) <= 4096:
        raise Error(f"threads: expected a number from 1 to 4096, got {threads}")
    return threads


class Optimizer:
    """A run whose candidates you evaluate.

    >>> optimizer = Optimizer({"strategy": {"name": "map_elites"}, "archive": {"shape": [20, 20]}},
    ...                       dim=10, descriptor=[("x", 0, 1), ("y", 0, 1)], bounds=(0, 1), seed=1)
    >>> for _ in range(100):
    ...     genomes = optimizer.ask()                     # f32 [n, 10]
    ...     fitness, descriptor = evaluate(genomes)       # [n], [n, 2]
    ...     optimizer.tell(fitness, descriptor)
    >>> optimizer.archive.best.fitness

    config: the tables strategy, archive, budget and output as in a configuration in TOML (``illume list`` shows what may stand in them), as a
        dict, a text or a path. With a table task its task's genome, bounds, descriptor and start are taken, and dim, descriptor, bounds, init,
        fitness, qd_offset and deterministic are left out.
    dim: genes of a genome.
    descriptor: axes as ``("name", lower, upper)``, with a unit behind if they have one, or as dicts; none for optimization without a descriptor.
    bounds: ``(lower, upper)`` to which every gene is clipped.
    init: interval from which first genes are drawn, or ``{"mean": m, "sd": s}`` for normal ones; default `bounds`, without them normal of mean 0, sd 1.
    genes: what single genes or groups of them are, in place of dim, bounds and init: dicts as ``[[task.genes]]`` of a configuration (docs/how_to/genes.md),
        ``{"name": "rate", "lower": 1e-4, "upper": 0.1, "scale": "log"}``, ``{"name": "layers", "lower": 1, "upper": 8, "kind": "integer"}``,
        ``{"name": "kind", "values": ["a", "b"]}``. Genomes are values of these, of a category its index.
    seed: the same seed and the same values give the same archive, bit for bit, for any number of threads; replaces config's.
    fitness: what the fitness is, with its unit, for files and plots.
    qd_offset: added to each elite's fitness in the QD score, so that none lowers it.
    deterministic: False if a candidate's value depends on its seed (`seeds`); strategies that validate evaluate again then.
    threads: of the engine; default one for each core that this process may use.

    Without a budget in config the run has no end of its own. Wrong input raises ``illume.Error`` (a ValueError) in one sentence, other trouble RuntimeError.
    """

    def __init__(
        self,
        config: Union[Mapping[str, Any], str, os.PathLike],
        *,
        dim: Optional[int] = None,
        descriptor: Optional[Descriptor] = None,
        bounds: Optional[tuple[float, float]] = None,
        init: Any = None,
        genes: Optional[Sequence[Mapping[str, Any]]] = None,
        seed: Optional[int] = None,
        fitness: Optional[str] = None,
        qd_offset: Optional[float] = None,
        deterministic: Optional[bool] = None,
        threads: Optional[int] = None,
    ):
        config = configuration(config)
        if seed is not None:
            config["seed"] = whole("seed", seed)
        if genes is not None:
            genes = gene_tables(genes)
            dim = sum(whole("genes: count", gene.get("count", 1)) for gene in genes) if dim is None else dim
        dim = None if dim is None else whole("dim", dim)
        described = {
            "dim": dim,
            "genes": genes,
            "descriptor": None if descriptor is None else axes(descriptor),
            "bounds": None if bounds is None else interval("bounds", bounds),
            "init": None if init is None else start(init),
            "fitness": fitness,
            "qd_offset": None if qd_offset is None else real("qd_offset", qd_offset),
            "deterministic": deterministic,
        }
        given = {key: value for key, value in described.items() if value is not None}
        if "task" in config:
            if given:
                raise Error(f"{', '.join(given)}: the table task of config says what the task is; leave one of the two out")
        elif dim is None:
            raise Error("dim: expected the number of genes of a genome (or a table task in config, which says what the task is)")
        elif dim < 1:
            raise Error(f"dim: expected the number of genes of a genome, at least 1, got {dim}")
        else:
            config["task"] = {"name": "python", **given}
        self._begin(Engine(config, on(threads)))

    def _begin(self, engine: Engine) -> None:
        self._engine = engine
        self.dim: int
        self.dim, self._k = engine.sizes()
        self.task, found, bounds = engine.task()
        self.descriptor = [Axis(name, lower, upper, unit) for name, unit, lower, upper in found]
        self.bounds: Optional[tuple[float, float]] = (bounds[0], bounds[1]) if bounds is not None else None

    @classmethod
    def load(
        cls,
        path: Union[str, os.PathLike],
        *,
        budget: Optional[Mapping[str, Any]] = None,
        threads: Optional[int] = None,
    ) -> "Optimizer":
        """Goes on from a checkpoint that `save`, or the program, wrote: exactly as if the run had never been left.

        budget: keys that replace those of the run's budget; 0 for no limit.
        """
        optimizer = cls.__new__(cls)
        optimizer._begin(Engine.load(Path(path), dict(budget) if budget is not None else None, on(threads)))
        return optimizer

    def save(self, path: Union[str, os.PathLike]) -> None:
        """Writes a checkpoint, an HDF5 file (docs/format.md): whole or not at all. It holds everything that `load` needs, and what reads archives
        reads it (``illume info``, ``illume plot``, h5py). Between generations only: not while candidates wait for `tell`."""
        self._engine.save(Path(path))

    def __repr__(self) -> str:
        progress = self._engine.progress()
        return f"<illume.Optimizer {self.config['strategy']['name']}: generation {progress['generation']}, {progress['evaluations']} evaluations>"

    def ask(self) -> np.ndarray:
        """Genomes to be evaluated, f32 ``[n, dim]``; n may differ from call to call. `tell` comes next."""
        return self._engine.ask()

    def tell(self, fitness: Any, descriptor: Any = None) -> None:
        """What the genomes that were asked for are worth.

        fitness: ``[n]``, to be maximized; NaN for an evaluation that failed: its row takes no part, and is counted.
        descriptor: ``[n, k]``, in the axes' units; left out where there are no axes.
        """
        n, k = self._engine.asked(), self._k
        if n is None:
            raise Error("tell() was called before ask(): there are no candidates to tell of")
        fitness = numbers("fitness", fitness)
        if fitness.shape != (n,):
            raise Error(f"fitness: expected {n} numbers, one for each genome that was asked for, got an array of shape {fitness.shape}")
        if descriptor is None:
            if k > 0:
                raise Error(f"descriptor: expected an array of shape ({n}, {k}), since there are axes ({', '.join(a.name for a in self.descriptor)})")
            flat = np.empty(0)
        else:
            flat = numbers("descriptor", descriptor)
            if flat.shape != (n, k) and not (k == 1 and flat.shape == (n,)):
                raise Error(f"descriptor: expected an array of shape ({n}, {k}), got one of shape {flat.shape}")
            flat = flat.ravel()
        self._engine.tell(fitness, flat)

    @property
    def seeds(self) -> np.ndarray:
        """Evaluation seeds of the genomes that were asked for last, u64 ``[n]``: what a noisy evaluation should draw from, so that runs repeat."""
        return self._engine.seeds()

    @property
    def archive(self) -> Archive:
        """A copy of the archive as it is now."""
        about, genomes = self._engine.archive()
        return Archive(about, lambda: genomes)

    @property
    def metrics(self) -> dict[str, float]:
        """generation, evaluations, invalid (failed evaluations), outside (descriptors beyond the bounds), qd_score, coverage, max_fitness,
        mean_fitness, filled, and what the strategy adds to the history."""
        progress = self._engine.progress()
        counted = {name: progress[name] for name in ("generation", "evaluations", "invalid", "outside")}
        return {**counted, **self._engine.metrics()}

    @property
    def history(self) -> "pandas.DataFrame":
        """A row for each finished generation, thinned when it grows too long; columns as docs/format.md has them."""
        return frame(self._engine.history())

    @property
    def solution(self) -> Optional[dict[str, Any]]:
        """The strategy's own result, if that is not the archive: ``genome`` f32 ``[dim]`` (of a lineage decoded), ``fitness``, ... as
        docs/format.md has them; else None."""
        return solution(self._engine.solution())

    @property
    def generation(self) -> int:
        """Generations that are finished."""
        return self._engine.progress()["generation"]

    @property
    def evaluations(self) -> int:
        """Evaluations so far."""
        return self._engine.progress()["evaluations"]

    @property
    def done(self) -> bool:
        """Whether the budget is used up, or the strategy has nothing left to try."""
        return self._engine.progress()["done"]

    @property
    def config(self) -> dict[str, Any]:
        """The whole configuration, every parameter with its value."""
        return self._engine.config()


def numbers(name: str, given: Any) -> np.ndarray:
    try:
        return np.ascontiguousarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise Error(f"{name}: expected an array of numbers, got {type(given).__name__} that is none") from None


def solution(columns: Optional[dict[str, tuple[np.ndarray, str, str]]]) -> Optional[dict[str, Any]]:
    """The one row of a solution."""
    if columns is None:
        return None
    return {name: values[0].item() if values.ndim == 1 else values[0] for name, (values, _, _) in columns.items()}
