"""The program ``illume``, started from Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Mapping, Optional, Union

from ._illume import Error, parse_toml, to_toml
from .optimizer import configuration, path_of
from .runs import Run, load


def found(program: Union[str, os.PathLike, None]) -> str:
    """The path of the program: as given, or as the environment variable ILLUME says, or in PATH."""
    named = program or os.environ.get("ILLUME")
    path = shutil.which(os.fspath(named) if named else "illume")
    if path is None:
        where = f"{os.fspath(named)} is no program" if named else "the program illume is not in PATH"
        raise Error(f"{where}: say where it is by program=..., or by the environment variable ILLUME")
    return path


def run(
    config: Union[Mapping[str, Any], str, os.PathLike],
    *,
    out: Union[str, os.PathLike, None] = None,
    ranks: int = 1,
    threads: Optional[int] = None,
    set: Optional[Mapping[str, Any]] = None,
    resume: bool = False,
    program: Union[str, os.PathLike, None] = None,
    launcher: Union[str, tuple[str, ...]] = ("mpirun", "-n"),
) -> Run:
    """Runs ``illume run`` to its end and opens the run directory.

    config: a configuration with a table task, as a dict, a TOML text or a path.
    out: the run directory, which must not exist or be empty, unless `resume`; default the configuration's ``output.dir``, else ``runs/`` and the
        name of its file.
    ranks: processes, started by `launcher` where there are more than one; the number of ranks follows it.
    threads: of each rank; default the node's cores divided by its ranks.
    set: keys that override the configuration's, ``{"task.dim": 20}`` or ``{"task": {"dim": 20}}``, as ``--set`` does; None leaves a key as it is.
    resume: goes on with the run that `out` holds, if there is one.
    program: default the environment variable ILLUME, else ``illume`` in PATH.

    A run that the program refuses raises ``illume.Error`` with the program's sentences, one that fails or that a signal ended RuntimeError. Ctrl-C in
    a terminal reaches the program as well: when it has left its checkpoint and ended, KeyboardInterrupt is raised.
    """
    program = found(program)
    changed = dict(flat(parse_toml(to_toml(dict(set or {})), "set")))
    table, named = configuration(config), path_of(config)
    output = table.get("output") or {}
    if not isinstance(output, Mapping):
        raise Error(f"output: expected a table, got {output!r}")
    out = out or changed.get("output.dir") or output.get("dir") or (named and Path("runs") / named.stem)
    if not out:
        raise Error("out: expected the run directory, since neither it nor output.dir is given")
    start = [launcher] if isinstance(launcher, str) else list(launcher)
    with tempfile.TemporaryDirectory(prefix="illume-") as folder:
        file = named or Path(folder) / "config.toml"
        if named is None:
            file.write_text(to_toml(table), encoding="utf-8")
        command = [*start, str(ranks)] if ranks > 1 else []
        command += [program, "run", str(file), "--out", os.fspath(out)]
        for key, value in changed.items():
            command += ["--set", f"{key}={inline(value)}"]
        command += (["--threads", str(threads)] if threads is not None else []) + (["--resume"] if resume else [])
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        except OSError as error:
            raise RuntimeError(f"{command[0]} cannot be started: {error}") from None
        try:
            _, said = process.communicate()
        except KeyboardInterrupt:
            process.communicate()  # it got the same signal, and leaves a checkpoint; what it says on the way is read, lest it waits
            raise
    if process.returncode != 0:
        sentence = sentences(said, "" if named else str(file)) or f"{command[0]} ended with code {process.returncode}"
        raise (Error if process.returncode == 2 else RuntimeError)(sentence)
    return load(out)  # type: ignore[return-value]


def flat(table: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """The keys of a table with those of the tables in it, ``task.dim``."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{within}{key}.")
        else:
            yield f"{within}{key}", value


def inline(value: Any) -> str:
    """A value in TOML on one line, tables in lists as well."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key, ensure_ascii=False)} = {inline(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(inline(inner) for inner in value) + "]"
    return to_toml({"v": value})[len("v = ") :].strip()


def sentences(said: str, file: str) -> str:
    """What the program said of what was wrong, without its progress and without the name of a file that nobody knows."""
    lines = [line.replace(f"{file}:", "config:") if file else line for line in said.splitlines() if line.strip() and " %  " not in line]
    return "\n".join(lines[-8:])
