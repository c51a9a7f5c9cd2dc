"""Evolutionary and quality-diversity optimization.

``Optimizer`` asks you to evaluate candidates and is told what they are worth; ``load`` opens run and sweep directories; ``run`` starts the
program ``illume``; ``worker`` and ``gym`` serve the program as ``task.command``.

The compiled part is loaded when it is first needed, so that a worker needs numpy alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .worker import worker

if TYPE_CHECKING:
    from ._illume import Error, __version__
    from .archive import Archive, Axis, Elite
    from .gym_worker import Episode, Episodes, gym
    from .optimizer import Optimizer
    from .program import run
    from .runs import Run, Sweep, load

_WHERE = {
    "Archive": "archive",
    "Axis": "archive",
    "Elite": "archive",
    "Episode": "gym_worker",
    "Episodes": "gym_worker",
    "Error": "_illume",
    "Optimizer": "optimizer",
    "Run": "runs",
    "Sweep": "runs",
    "__version__": "_illume",
    "gym": "gym_worker",
    "load": "runs",
    "run": "program",
}

__all__ = [name for name in _WHERE if not name.startswith("_")] + ["worker"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'illume' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
