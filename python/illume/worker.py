"""A worker for ``task.command``: a Python function that illume's program asks for the values of genomes.

This file needs numpy alone: it may be copied and imported by itself.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import traceback
from typing import Any, BinaryIO, Callable, Mapping, Optional, Sequence, Union

import numpy as np

PROTOCOL = 1

__all__ = ["worker"]


def worker(
    function: Callable[..., Any],
    *,
    dim: Optional[int] = None,
    bounds: Optional[Sequence[float]] = None,
    init: Optional[Union[Sequence[float], Mapping[str, float]]] = None,
    genes: Optional[Sequence[Mapping[str, Any]]] = None,
    descriptor: Optional[Sequence[Union[tuple, Mapping[str, Any]]]] = None,
    fitness: str = "fitness",
    objectives: Optional[Sequence[Union[str, Mapping[str, Any]]]] = None,
    qd_offset: Optional[float] = None,
    deterministic: Optional[bool] = None,
    version: Optional[str] = None,
    batch: Optional[int] = None,
    frames: str = "binary",
    vectorized: bool = False,
    steps: bool = False,
    requests: Optional[BinaryIO] = None,
    answers: Optional[BinaryIO] = None,
) -> None:
    """Serves illume until it closes standard input; call it at the end of the program that ``task.command`` names.

    function: of a genome, f32 ``[dim]``, and its seed, an int; gives ``fitness``, or ``(fitness, descriptor)``, with `steps`
        ``(fitness, descriptor, steps)``. `vectorized`, of genomes ``[n, dim]`` and seeds ``[n]``; gives arrays ``[n]``, ``[n, k]``, ``[n]``. It may leave
        the seed out, and has a parameter ``arguments`` if it wants the table ``[task.arguments]`` of the configuration. The result must depend on
        genome and seed alone. NaN, None, or an exception (whose sentence goes to standard error), is a failed evaluation.
    dim: genes of a genome; default what `genes` count, and may be left to the configuration (``task.dim``), as may `bounds`, ``(lower, upper)`` of every gene, and
        `descriptor`, axes as ``("name", lower, upper)``, with a unit behind if they have one.
    init: interval from which first genes are drawn, or ``{"mean": 0, "sd": 0.5}``; genes: dicts as ``[[task.genes]]``, in place of bounds and init.
    fitness: what the fitness is, with its unit; to be maximized. qd_offset: added to it in the QD score.
    objectives: two or more, by name or as ``{"name": "cost", "unit": "EUR", "direction": "minimize", "reference": 100, "ideal": 0}``: `function` then gives as many numbers in
        place of the fitness, ``[m]`` or `vectorized` ``[n, m]``.
    deterministic: whether the result does not depend on the seed; default: whether `function` takes none. False lets noisy values be evaluated again.
    version: of the function, kept with the run.
    batch: genomes of a request at most; default 1, or 64 if `vectorized`. frames: ``"binary"`` or ``"json"``.
    requests, answers: binary streams, default standard input and output. What the function prints goes to standard error.
    """
    if frames not in ("binary", "json"):
        raise ValueError(f'frames: expected "binary" or "json", got {frames!r}')
    said: dict[str, Any] = {
        "illume": PROTOCOL,
        "dim": dim,
        "bounds": bounds if bounds is None else [float(x) for x in bounds],
        "init": dict(init) if isinstance(init, Mapping) else init if init is None else [float(x) for x in init],
        "genes": None if genes is None else [dict(gene) for gene in genes],
        "descriptor": None if descriptor is None else [axis(a) for a in descriptor],
        "fitness": fitness if objectives is None else None,
        "objectives": None if objectives is None else [o if isinstance(o, str) else dict(o) for o in objectives],
        "qd_offset": qd_offset,
        "deterministic": not takes_seed(function) if deterministic is None else deterministic,
        "version": version,
        "batch": batch or (64 if vectorized else 1),
        "frames": frames,
        "steps": steps or None,
    }
    if requests is None or answers is None:
        requests, answers = own_streams()
    try:
        serve(function, {key: value for key, value in said.items() if value is not None}, vectorized, requests, answers)
    except (BrokenPipeError, KeyboardInterrupt):
        pass  # illume is gone


def own_streams() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output for the protocol alone: who reads or prints elsewhere, C libraries included, gets nothing or standard error."""
    sys.stdout.flush()
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, answers


def axis(given: Union[tuple, Mapping[str, Any]]) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    name, lower, upper, *unit = given
    return {"name": str(name), "unit": str(unit[0]) if unit else "", "lower": float(lower), "upper": float(upper)}


def serve(function: Callable[..., Any], said: dict[str, Any], vectorized: bool, requests: BinaryIO, answers: BinaryIO) -> None:
    def line(message: Mapping[str, Any]) -> None:
        answers.write(json.dumps(message).encode() + b"\n")
        answers.flush()

    opening = requests.readline()
    if not opening:
        return
    asked = json.loads(opening)
    if asked.get("illume") != PROTOCOL:
        line({"error": f"the worker speaks version {PROTOCOL} of the protocol, illume version {asked.get('illume')}"})
        return
    dim = said.get("dim") or asked.get("dim") or sum(int(gene.get("count", 1)) for gene in said.get("genes") or asked.get("genes") or [])
    if not dim:
        line({"error": "neither the worker (dim= or genes=) nor the configuration (task.dim) says how many genes a genome has"})
        return
    axes = said.get("descriptor") or asked.get("descriptor") or []
    k, with_steps = len(axes), bool(said.get("steps"))
    m = len(said.get("objectives") or [])
    values = Values(function, vectorized, m if m > 1 else 0, k, with_steps, asked.get("arguments") or {})
    line(said)
    if said["frames"] == "json":
        while request := requests.readline():
            message = json.loads(request)
            genomes = np.array(message["genomes"], dtype=np.float32).reshape(-1, dim)
            try:
                fitness, descriptor, steps = values.of(genomes, np.array(message["seeds"], dtype=np.uint64))
            except Wrong as error:
                line({"error": str(error)})
                continue
            first = {"objectives": [plain(row) for row in fitness]} if values.m else {"fitness": plain(fitness)}
            columns = {**first, "descriptor": [plain(row) for row in descriptor]}
            line({**columns, "steps": plain(steps)} if with_steps else columns)
        return
    while True:
        head = exactly(requests, 4)
        if head is None:
            return
        body = exactly(requests, int.from_bytes(head, "little"))
        if body is None:
            return
        body = bytearray(body)  # arrays over it may be written to, as those from JSON
        n = int.from_bytes(body[:4], "little")
        seeds = np.frombuffer(body, "<u8", n, 8)
        genomes = np.frombuffer(body, "<f4", n * dim, 8 + 8 * n).reshape(n, dim)
        try:
            fitness, descriptor, steps = values.of(genomes, seeds)
            parts = [fitness.reshape(n, -1), descriptor] + ([steps[:, None]] if with_steps else [])
            answer = np.concatenate(parts, axis=1).astype("<f8").tobytes()
        except Wrong as error:
            print(error, file=sys.stderr, flush=True)
            answer = b""
        answers.write(len(answer).to_bytes(4, "little") + answer)
        answers.flush()


def exactly(stream: BinaryIO, count: int) -> Optional[bytes]:
    """So many bytes; None at the end of the stream."""
    pieces, missing = [], count
    while missing > 0:
        piece = stream.read(missing)
        if not piece:
            return None
        pieces.append(piece)
        missing -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def plain(numbers: np.ndarray) -> list[Optional[float]]:
    return [x if np.isfinite(x) else None for x in numbers.tolist()]


class Wrong(Exception):
    """A batch of which nothing can be said: the function gave something of another shape."""


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []  # a builtin


def takes_seed(function: Callable[..., Any]) -> bool:
    """Whether a function takes a seed behind the genome."""
    own = [p for p in parameters(function) if p.name != "arguments"]
    positional = [p for p in own if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) >= 2 or any(p.kind == p.VAR_POSITIONAL for p in own)


class Values:
    """The values of genomes by the user's function."""

    def __init__(self, function: Callable[..., Any], vectorized: bool, m: int, k: int, steps: bool, arguments: Mapping[str, Any]):
        self.function, self.vectorized, self.m, self.k, self.steps = function, vectorized, m, k, steps
        self.seeded = takes_seed(function)
        self.keywords = {"arguments": arguments} if any(p.name == "arguments" for p in parameters(function)) else {}

    def of(self, genomes: np.ndarray, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fitness ``[n]`` (or objectives ``[n, m]``), descriptors ``[n, k]``, steps ``[n]``; NaN for rows that failed."""
        n = len(genomes)
        if self.vectorized:
            return self.parts(self.call(genomes, seeds), n)
        fitness, descriptor, steps = np.full((n, self.m) if self.m else n, np.nan), np.full((n, self.k), np.nan), np.ones(n)
        for row in range(n):
            value = self.call(genomes[row], int(seeds[row]))
            f, d, s = self.parts(value, None)
            fitness[row], descriptor[row], steps[row] = f, d, s
        return fitness, descriptor, steps

    def call(self, genome: np.ndarray, seed: Any) -> Any:
        """What the function gives; None if it fails."""
        try:
            value = self.function(genome, seed, **self.keywords) if self.seeded else self.function(genome, **self.keywords)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            sentence = traceback.format_exception_only(type(error), error)[-1].strip()
            print(f"{sentence} ({os.path.basename(place.filename)}:{place.lineno})", file=sys.stderr, flush=True)
            return None
        if value is None:
            print("the function gave None: does it return its values?", file=sys.stderr, flush=True)
        return value

    def parts(self, value: Any, n: Optional[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shape = () if n is None else (n,)
        first = (*shape, self.m) if self.m else shape
        if value is None:
            return np.full(first, np.nan), np.full((*shape, self.k), np.nan), np.ones(shape)
        parts = value if isinstance(value, tuple) else (value,)
        what = "objectives" if self.m else "fitness"
        wanted = [what] + (["descriptor"] if self.k or self.steps else []) + (["steps"] if self.steps else [])
        if len(parts) < len(wanted):
            raise Wrong(f"the function gave {len(parts)} of what is wanted: {', '.join(wanted)}")
        try:
            fitness = np.asarray(parts[0], dtype=np.float64)
            descriptor = np.asarray(parts[1] if self.k else np.empty((*shape, 0)), dtype=np.float64)
            steps = np.asarray(parts[2] if self.steps else np.ones(shape), dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise Wrong(f"the function gave something that is no number: {error}") from None
        if self.m and fitness.shape != first and len(parts) == self.m and not self.k and not self.steps and n is None:
            fitness = np.asarray(value, dtype=np.float64)  # a tuple of the objectives
        if n is None:
            # A number may come as an array of one.
            fitness, steps = (x.reshape(()) if x.size == 1 and not self.m else x for x in (fitness, steps))
            descriptor = descriptor.reshape(1) if self.k == 1 and descriptor.size == 1 else descriptor
        elif self.k == 1 and descriptor.shape == shape:
            descriptor = descriptor[:, None]
        for name, found, expected in (
            (what, fitness, first),
            ("descriptor", descriptor, (*shape, self.k)),
            ("steps", steps, shape),
        ):
            if found.shape != expected:
                raise Wrong(f"the function's {name} has shape {found.shape}, {expected} is expected")
        return fitness, descriptor, steps
