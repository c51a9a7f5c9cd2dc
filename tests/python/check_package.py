"""Checks the Python package illume, for tests/python_package.rs.

check_package.py SECTION ARGUMENT...: prints what it found, and fails by an assertion. Sections are the functions below.
"""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np

import illume

BOX = 5.12
OPTIMUM = 0.4 * BOX


def lanes(terms):
    """Sums of rows in the engine's order: number i goes to partial sum i mod 8."""
    sums = np.zeros((len(terms), 8))
    for at in range(0, terms.shape[1], 8):
        piece = terms[:, at : at + 8]
        sums[:, : piece.shape[1]] += piece
    a, b, c, d, e, f, g, h = sums.T
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


def sphere(genomes):
    """The task sphere, bit for bit."""
    x = genomes.astype(np.float64)
    n = x.shape[1]
    worst = n * ((-BOX - OPTIMUM) * (-BOX - OPTIMUM))
    d = x - OPTIMUM
    with np.errstate(divide="ignore"):
        clipped = np.where(np.abs(x) > BOX, BOX / x, x)
    halves = [slice(0, n // 2), slice(n // 2, n)]
    raw = [lanes((d * d)[:, half]) for half in halves]
    return 100.0 * (1.0 - (raw[0] + raw[1]) / worst), np.stack([lanes(clipped[:, half]) for half in halves], axis=1)


def sphere_task(dim):
    """What the task sphere says of itself, for an Optimizer."""
    reach = dim // 2 * BOX
    rest = (dim - dim // 2) * BOX
    return dict(dim=dim, descriptor=[("first half", -reach, reach), ("second half", -rest, rest)], init={"mean": 0.0, "sd": 0.5})


def drive(optimizer, generations=None):
    while not optimizer.done and (generations is None or optimizer.generation < generations):
        optimizer.tell(*sphere(optimizer.ask()))
    return optimizer


def same(one, other, what):
    """That two archives are equal, bit for bit."""
    assert len(one) == len(other) > 0, (what, len(one), len(other))
    assert list(one.columns) == list(other.columns), (what, list(one.columns), list(other.columns))
    for name, values in one.columns.items():
        assert values.dtype == other.columns[name].dtype and values.tobytes() == other.columns[name].tobytes(), (what, name)
    assert one.genomes.tobytes() == other.genomes.tobytes(), what
    assert one.metrics == other.metrics or np.isnan(one.qd_score), what
    assert (one.kind, one.shape, one.axes, one.qd_offset, one.operators) == (other.kind, other.shape, other.axes, other.qd_offset, other.operators)


def same_history(one, other, what):
    timeless = [name for name in one.columns if not name.endswith(("_seconds", "_share"))]
    assert list(one.columns) == list(other.columns), what
    assert len(one) == len(other) > 0 and one[timeless].equals(other[timeless]), what


def equal(*directories):
    """Runs of the command line, and the same by ask and tell with values from here."""
    for directory in directories:
        run = illume.load(directory)
        dim = run.config["task"]["dim"]
        given = {name: run.config[name] for name in ("strategy", "archive", "budget")}
        of_task = drive(illume.Optimizer({**given, "task": run.config["task"]}, seed=run.seed, threads=2))
        same(of_task.archive, run.archive, run.strategy)
        same_history(of_task.history, run.history, run.strategy)
        assert of_task.evaluations == run.evaluations and of_task.generation == run.generation
        if run.solution is None:
            assert of_task.solution is None
        else:
            for name, value in run.solution.items():
                assert np.array_equal(of_task.solution[name], value, equal_nan=True), (run.strategy, name)
        if run.strategy != "cma_mega":  # it asks the task for gradients
            described = drive(illume.Optimizer(given, seed=run.seed, threads=1, **sphere_task(dim)))
            same(described.archive, run.archive, f"{run.strategy}, described")
        # A candidate's genes are what the archive keeps.
        best = run.archive.best
        again = sphere(best.genome[None])
        assert again[0][0] == best.fitness and np.array_equal(again[1][0], best.descriptor)
        print(run.strategy, "equal:", len(run.archive), "elites")


CMA_ME = {"strategy": {"name": "cma_me", "emitters": 3, "batch": 12}, "archive": {"shape": [20, 20]}, "budget": {"generations": 12}}


def killed(folder, strategy):
    """A process that saves after each generation is killed; who goes on from its file gets the undisturbed run's archive."""
    given = {"strategy": {"name": strategy}, "archive": {"shape": [15, 15]}, "budget": {"generations": 40}}
    if strategy == "cma_me":
        given["strategy"].update(emitters=3, batch=12)
    whole = drive(illume.Optimizer(given, seed=9, **sphere_task(10)))
    path = os.path.join(folder, f"{strategy}.h5")
    child = subprocess.Popen([sys.executable, __file__, "saves", path, repr(given)])
    while not (os.path.exists(path) and illume.load(path).generation >= 5):
        assert child.poll() is None, "it ended before it was killed"
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    rest = illume.Optimizer.load(path, threads=1)
    began = rest.generation
    assert 5 <= began < 40 and rest.evaluations > 0 and "generation" in repr(rest)
    drive(rest)
    same(rest.archive, whole.archive, strategy)
    same_history(rest.history, whole.history, strategy)
    longer = illume.Optimizer.load(path, budget={"generations": began + 1})
    assert drive(longer).generation == began + 1
    endless = illume.Optimizer.load(path, budget={"generations": 0})
    assert drive(endless, 45).generation == 45 and not endless.done
    print(strategy, "went on from generation", began, "of 40")


def saves(path, given):
    optimizer = illume.Optimizer(eval(given), seed=9, **sphere_task(10))
    while not optimizer.done:
        optimizer.tell(*sphere(optimizer.ask()))
        optimizer.save(path)
        time.sleep(0.05)
    time.sleep(60)


def archives(*_):
    """What an archive shows of itself; strategies with phases, failed rows, and numbers of threads."""
    import pandas
    import xarray

    optimizer = drive(illume.Optimizer(CMA_ME, seed=3, **sphere_task(10)))
    archive = optimizer.archive
    table = archive.to_pandas(genomes=True)
    assert isinstance(table, pandas.DataFrame) and len(table) == len(archive) == archive.filled
    assert {"fitness", "first half", "second half", "operator", "gene_0", "gene_9"} <= set(table.columns)
    assert table.fitness.max() == archive.best.fitness == archive.max_fitness
    elites = archive.to_xarray()
    assert isinstance(elites, xarray.Dataset) and elites.genome.shape == (len(archive), 10)
    assert elites.descriptor.sel(axis="first half").shape == (len(archive),)
    grid = archive.to_grid()
    assert grid.shape == (20, 20) and int(grid.notnull().sum()) == len(archive)
    cell = int(archive.cells[0])
    assert grid.values.ravel()[cell] == archive.elite(cell).fitness and archive.elite(-5) is None
    assert archive.nearest(archive.descriptors[4]).cell == archive.cells[4]
    assert abs(archive.qd_score - np.sum(archive.fitness)) < 1e-6 and archive.coverage == len(archive) / 400
    assert np.array_equal(archive.genes([2, 0]), archive.genomes[[2, 0]])
    history = optimizer.history
    assert list(history.generation) == list(range(1, 13)) and history.qd_score.iloc[-1] == archive.qd_score
    assert optimizer.metrics["qd_score"] == archive.qd_score and optimizer.metrics["evaluations"] == 12 * 36
    # A copy stays as it is.
    optimizer = illume.Optimizer({**CMA_ME, "budget": {}}, seed=3, **sphere_task(10))
    before = drive(optimizer, 12).archive
    drive(optimizer, 20)
    same(before, archive, "the copy")
    # NaN is a failed row.
    genomes = optimizer.ask()
    assert genomes.dtype == np.float32 and genomes.shape == (36, 10) and optimizer.seeds.shape == (36,)
    fitness, descriptor = sphere(genomes)
    fitness[:5], descriptor[7] = np.nan, np.inf
    optimizer.tell(list(fitness), descriptor.tolist())
    assert optimizer.metrics["invalid"] == 6
    # Genes keep their bounds; one axis may come flat; none may be left out.
    one = illume.Optimizer(
        {"strategy": {"name": "map_elites", "batch": 30}}, dim=3, bounds=(-1, 2), descriptor=[{"name": "x", "lower": -1, "upper": 2, "unit": "m"}], seed=1
    )
    for _ in range(5):
        genomes = one.ask()
        assert genomes.min() >= -1 and genomes.max() <= 2
        one.tell(-np.square(genomes).sum(axis=1), genomes[:, 0])
    assert one.archive.axes[0].unit == "m" and one.bounds == (-1.0, 2.0)
    climb = illume.Optimizer({"strategy": {"name": "cma_es"}, "budget": {"evaluations": 3000}}, dim=5, seed=1)
    while not climb.done:
        climb.tell(-np.square(climb.ask() - 0.3).sum(axis=1))
    assert climb.solution["genome"].shape == (5,) and climb.solution["fitness"] > -1e-6, climb.solution
    assert np.allclose(climb.solution["mean"], 0.3, atol=1e-2)
    # Lineages, and a strategy that validates: its phases are asked one after another, a generation is over when all are.
    deep = {"strategy": {"name": "deep_ga", "population": 20, "parents": 4, "sigma": 0.1}, "archive": {"shape": [10, 10]}, "budget": {"generations": 6}}
    noisy = illume.Optimizer(deep, seed=2, deterministic=False, **sphere_task(6))
    phases = 0
    while not noisy.done:
        fitness, descriptor = sphere(noisy.ask())
        noise = np.array([np.random.default_rng(int(seed)).normal() for seed in noisy.seeds])
        noisy.tell(fitness + noise, descriptor)
        phases += 1
    assert noisy.generation == 6 and phases > 6, phases
    assert noisy.solution["genome"].shape == (6,) and noisy.solution["lineage_streams"].dtype == np.uint64
    assert noisy.archive.genomes.shape == (len(noisy.archive), 6) and np.isfinite(noisy.archive.genomes).all()
    # Several at once, each in a thread of Python's: none waits for another, and none disturbs it.
    found = {}

    def in_a_thread(seed):
        found[seed] = drive(illume.Optimizer(CMA_ME, seed=seed, threads=1 + seed % 2, **sphere_task(10))).archive

    threads = [threading.Thread(target=in_a_thread, args=(seed,)) for seed in range(3, 7)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    same(found[3], archive, "in a thread")
    assert len(found) == 4 and found[4].genomes.tobytes() != found[5].genomes.tobytes()
    # Kinds without a grid.
    for kind, more in [("cvt", {"cells": 40, "samples": 2000}), ("dns", {}), ("unstructured", {})]:
        strategy = "ga_ns" if kind == "unstructured" else "map_elites"
        other = illume.Optimizer({"strategy": {"name": strategy}, "archive": {"kind": kind, **more}}, seed=1, **sphere_task(4))
        drive(other, 3)
        assert other.archive.kind == kind and (other.archive.centroids is not None) == (kind == "cvt") and len(other.archive.to_pandas()) > 0
    print("archives: checked")


def genes(folder, *_):
    """Genes of several kinds: ask gives values, and so do the archive, a file and the program's own view of it."""
    kinds = [
        {"name": "rate", "lower": 1e-4, "upper": 1e-1, "scale": "log"},
        {"name": "layers", "lower": 1, "upper": 8, "kind": "integer", "count": 2},
        {"name": "kind", "values": ["a", "b", "c"]},
    ]
    config = {"strategy": {"name": "map_elites", "batch": 40}, "archive": {"shape": [10, 10]}}
    optimizer = illume.Optimizer(config, genes=kinds, descriptor=[("x", 0, 0.1), ("y", 1, 8)], seed=4)

    def told(optimizer, generations):
        for _ in range(generations):
            values = optimizer.ask()
            assert values.shape[1] == 4 and (1e-4 <= values[:, 0]).all() and (values[:, 0] <= 0.1000000015).all()
            assert np.isin(values[:, 1:3], range(1, 9)).all() and np.isin(values[:, 3], range(3)).all()
            optimizer.tell(-np.abs(values[:, 3] - 2) - np.abs(values[:, 2] - 5), values[:, :2])
        return optimizer

    told(optimizer, 10)
    path = os.path.join(folder, "genes.h5")
    optimizer.save(path)
    told(optimizer, 5)
    again = told(illume.Optimizer.load(path), 5)
    same(optimizer.archive, again.archive, "genes, gone on")
    best = optimizer.archive.best
    assert best.genome[3] == 2 and best.genome[2] == 5 and best.fitness == 0, best
    stored = illume.load(path).archive
    assert np.isin(stored.genomes[:, 1:], range(9)).all() and stored.genomes[:, 1].max() > 1
    for given in (dict(bounds=(0, 1)), dict(dim=3)):
        try:
            illume.Optimizer(config, genes=kinds, descriptor=[("x", 0, 1)], **given)
        except illume.Error as error:
            assert "\n" not in str(error) and "genes" in str(error), error
        else:
            raise AssertionError(given)
    print("genes: checked")


def start(folder, *_):
    """What a run begins with is needed by its first generation alone; a file says what its fitness is if that is minimized."""
    solutions = os.path.join(folder, "start.npy")
    np.save(solutions, np.full((3, 10), 0.25, dtype="f4"))
    given = {**CMA_ME, "strategy": {"name": "map_elites", "batch": 20}, "start": {"solutions": solutions}}
    optimizer = illume.Optimizer(given, seed=5, **sphere_task(10))
    before, after = (os.path.join(folder, name) for name in ("before.h5", "after.h5"))
    optimizer.save(before)
    assert (optimizer.ask()[:3] == 0.25).all()
    optimizer = drive(illume.Optimizer.load(before), 4)
    optimizer.save(after)
    os.remove(solutions)
    again = illume.Optimizer.load(after)
    assert again.generation == 4
    same(drive(again).archive, drive(optimizer).archive, "without the file that it began with")
    try:
        illume.Optimizer.load(before)
    except illume.Error as error:
        assert "start.npy" in str(error) and "\n" not in str(error), error
    else:
        raise AssertionError("nothing to begin with")
    assert "fitness" not in illume.load(after).attributes
    less = illume.Optimizer({**CMA_ME, "task": {"name": "sphere", "dim": 10, "direction": "minimize"}}, seed=5)
    less.save(before)
    assert illume.load(before).attributes["fitness"].startswith("minus ")
    print("start: checked")


def forked(*_):
    """A forked child, which has none of its parent's threads, makes optimizers of its own, and goes on with copies of its parent's."""
    begun = drive(illume.Optimizer(CMA_ME, seed=3, threads=2, **sphere_task(10)), 4)
    expected = drive(illume.Optimizer(CMA_ME, seed=3, threads=2, **sphere_task(10))).archive
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # it would wait for threads that are not there
        try:
            for threads in (2, 1, None):
                found = drive(illume.Optimizer(CMA_ME, seed=3, threads=threads, **sphere_task(10))).archive
                assert found.genomes.tobytes() == expected.genomes.tobytes(), threads
            same(drive(begun).archive, expected, "the parent's")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    # One thread wakes no other, lineages and results included.
    program = """
import os, illume
deep = {"strategy": {"name": "deep_ga", "population": 20, "parents": 4, "sigma": 0.1}, "archive": {"shape": [10, 10]}}
optimizer = illume.Optimizer(deep, dim=6, descriptor=[("x", -1, 1), ("y", -1, 1)], seed=2, threads=1)
before = len(os.listdir("/proc/self/task"))
for _ in range(3):
    genomes = optimizer.ask()
    optimizer.tell(genomes[:, 0], genomes[:, :2])
assert optimizer.archive.genomes.shape[1] == 6 and optimizer.solution["genome"].shape == (6,)
assert len(os.listdir("/proc/self/task")) == before, "threads were started"
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    print("forked: checked")


def wrong(folder, *_):
    """Wrong input is one sentence each."""
    good = {"strategy": {"name": "map_elites", "batch": 10}, "archive": {"shape": [4, 4]}}
    axes = [("x", 0, 1), ("y", 0, 1)]
    told = []

    def refused(part, make, kind=ValueError):
        try:
            make()
        except kind as error:
            sentence = str(error)
            assert part in sentence and "\n" not in sentence and len(sentence) > 20, f"{part!r} is not in: {sentence}"
            told.append(sentence)
        else:
            raise AssertionError(f"{part}: not refused")

    def optimizer(config=good, **given):
        return illume.Optimizer(config, **{"dim": 4, "descriptor": axes, **given})

    ready = optimizer()
    asked = optimizer()
    asked.ask()
    over = optimizer({**good, "budget": {"generations": 1}})
    over.tell(np.zeros(len(over.ask())), np.zeros((10, 2)))
    broken = os.path.join(folder, "broken.h5")
    with open(broken, "wb") as file:
        file.write(b"no HDF5")
    saved = os.path.join(folder, "saved.h5")
    ready.save(saved)
    around = {}
    around["strategy"] = {"name": "map_elites", "more": around}

    class Same:
        def tolist(self):
            return self

    for part, make in [
        ("ask() was called twice", asked.ask),
        ("before ask()", lambda: ready.tell([1.0], [[0, 0]])),
        ("expected 10 numbers", lambda: asked.tell(np.zeros(9), np.zeros((10, 2)))),
        ("expected an array of shape (10, 2), got one of shape (10, 3)", lambda: asked.tell(np.zeros(10), np.zeros((10, 3)))),
        ("since there are axes (x, y)", lambda: asked.tell(np.zeros(10))),
        ("fitness: expected an array of numbers", lambda: asked.tell(["good"] * 10, np.zeros((10, 2)))),
        ("tell() what the 10 candidates", lambda: asked.save(os.path.join(folder, "no.h5"))),
        ("the budget is used up", over.ask),
        ("dim: expected the number of genes", lambda: illume.Optimizer(good)),
        ("at least 1, got 0", lambda: optimizer(dim=0)),
        ("for axis 1", lambda: optimizer(descriptor=[("x", 0, 1), ("y", 0)])),
        ('axis "y" needs two finite bounds', lambda: optimizer(descriptor=[("x", 0, 1), ("y", 1, 0)])),
        ("names that differ", lambda: optimizer(descriptor=[("x", 0, 1), ("x", 0, 1)])),
        ("bounds: expected two numbers", lambda: optimizer(bounds=3)),
        ("bounds: expected two finite numbers", lambda: optimizer(bounds=(1, 1))),
        ("bounds: expected two finite numbers", lambda: optimizer(bounds=(0, 1e39))),
        ("bounds: expected an interval that holds two numbers of single precision", lambda: optimizer(bounds=(1, 1 + 1e-9))),
        ("init: expected an interval within the bounds (0, 1), got (-1, 1)", lambda: optimizer(bounds=(0, 1), init=(-1, 1))),
        ("init: expected (lower, upper)", lambda: optimizer(init={"mean": 0})),
        ("init: mean: expected a number, got 'a'", lambda: optimizer(init={"mean": "a", "sd": 1})),
        ("an sd above 0, got 0 and 0", lambda: optimizer(init={"mean": 0, "sd": 0})),
        ("init: expected a mean that is finite in single precision", lambda: optimizer(init={"mean": 1e39, "sd": 1})),
        ("init: expected a mean that is finite in single precision", lambda: optimizer(init={"mean": 0, "sd": 1e39})),
        ("descriptor: expected a list of axes", lambda: optimizer(descriptor=5)),
        ("got 5 for axis 0", lambda: optimizer(descriptor=[5])),
        ("dim: expected an integer, got 'x'", lambda: optimizer(dim="x")),
        ("dim: expected an integer, got 2.7", lambda: optimizer(dim=2.7)),
        ("seed: expected an integer, got 'x'", lambda: optimizer(seed="x")),
        ("qd_offset: expected a number, got 'x'", lambda: optimizer(qd_offset="x")),
        ("genes: expected a list of dicts", lambda: illume.Optimizer(good, genes=[5])),
        ("genes: count: expected an integer", lambda: illume.Optimizer(good, genes=[{"name": "a", "lower": 0, "upper": 1, "count": "x"}])),
        ("threads: expected a number from 1 to 4096, got -1", lambda: optimizer(threads=-1)),
        ("threads: expected", lambda: illume.Optimizer.load(saved, threads=2**70)),
        ("expected a table [output], got 5", lambda: optimizer({**good, "output": 5})),
        ("output: expected a table, got 5", lambda: illume.run({**good, "output": 5}, program="/bin/true")),
        ("strategy: a configuration holds at most 64 dicts", lambda: optimizer(around)),
        ("strategy: a configuration holds at most 64 dicts", lambda: optimizer({"strategy": {"name": Same()}})),
        ("a: a configuration holds at most 64 dicts", lambda: illume.run(good, out=folder, program="/bin/true", set={"a": around})),
        ("cannot read the configuration a=b.toml", lambda: illume.Optimizer(pathlib.Path("a=b.toml"), dim=3)),
        ('did you mean "map_elites"', lambda: optimizer({"strategy": {"name": "map_elite"}})),
        ("config: strategy.batch: expected", lambda: optimizer({"strategy": {"name": "map_elites", "batch": "many"}})),
        ("config: archive.shape", lambda: optimizer({**good, "archive": {"shape": [3]}})),
        ("unknown key", lambda: optimizer({**good, "strategie": {}})),
        ("needs a build with feature", lambda: illume.Optimizer({**good, "task": {"name": "walker2d_uni"}})),
        ("leave one of the two out", lambda: optimizer({**good, "task": {"name": "sphere"}})),
        ("got a set", lambda: optimizer({"strategy": {"name": "map_elites", "batch": {1}}})),
        ("got a type", lambda: illume.Optimizer(dict, dim=3)),
        ("not valid TOML", lambda: illume.Optimizer("strategy = [", dim=3)),
        ("cannot read the configuration", lambda: illume.Optimizer(os.path.join(folder, "none.toml"), dim=3)),
        ("threads: expected", lambda: optimizer(threads=0)),
        ("seed: expected", lambda: optimizer(seed=-1)),
        ("acts through no network", lambda: optimizer({**good, "policy": {"hidden": [3]}})),
        ("broken.h5", lambda: illume.load(broken)),
        ("broken.h5", lambda: illume.Optimizer.load(broken)),
        ("there is no such file", lambda: illume.load(os.path.join(folder, "none"))),
        ("neither the directory of a run", lambda: illume.load(folder)),
        ("load: budget.generations", lambda: illume.Optimizer.load(saved, budget={"generations": -1})),
        ("the archive is empty", lambda: ready.archive.best),
        ("is no program", lambda: illume.run(good, out=folder, program="/no/illume")),
        ("frames: expected", lambda: illume.worker(print, frames="xml")),
    ]:
        refused(part, make)
    assert issubclass(illume.Error, ValueError)
    # After all of that what waited still works.
    asked.tell(np.zeros(10), np.full((10, 2), 0.5))
    assert asked.generation == 1 and len(asked.archive) == 1
    refused("cannot", lambda: asked.save(os.path.join(folder, "no", "folder.h5")), (ValueError, RuntimeError))
    print(len(told), "sentences")


def loads(folder, program, ranks):
    """The program run from Python, on ranks too; its directory, and that of a sweep."""
    from illume._illume import to_toml

    os.environ["ILLUME"] = program
    config = {
        "seed": 4,
        "task": {"name": "arm", "joints": 8},
        "strategy": {"name": "deep_ga", "population": 30, "parents": 5, "sigma": 0.05},
        "archive": {"shape": [8, 8]},
        "budget": {"generations": 5},
    }
    out = os.path.join(folder, "run")
    run = illume.run(config, out=out, threads=1, set={"budget.generations": 6, "task.joints": 9})
    assert run.generation == 6 and run.config["task"]["joints"] == 9 and run.seed == 4 and run.task == "arm"
    assert run.archive.genomes.shape == (len(run.archive), 9) and 0 <= run.archive.genomes.min() <= run.archive.genomes.max() <= 1
    assert list(run.history.generation) == [1, 2, 3, 4, 5, 6] and len(run.elites) == len(run.archive) and len(run.log) > 1
    assert run.metrics["filled"] == len(run.archive) and run.solution["genome"].shape == (9,)
    two = illume.run(config, out=os.path.join(folder, "two"), ranks=1, threads=2, set={"task.joints": 9, "budget": {"generations": 6}})
    same(two.archive, run.archive, "another number of threads")
    more = illume.run(config, out=os.path.join(folder, "more"), ranks=int(ranks), threads=1, set={"task.joints": 9, "budget.generations": 3})
    more = illume.run(config, out=os.path.join(folder, "more"), ranks=int(ranks), threads=1, set={"task.joints": 9, "budget.generations": 6}, resume=True)
    same(more.archive, run.archive, "another number of ranks")
    assert any(event.get("ranks") == int(ranks) for event in more.log), more.log
    # Keys that are tables in lists, or None; the directory as one of them; a file whose name looks like a text.
    file = os.path.join(folder, "joints=8.toml")
    with open(file, "w") as text:
        text.write(to_toml({**config, "task": {"name": "command", "command": [sys.executable, "-c", "import illume; illume.worker(lambda g: (g[0], g), descriptor=[('x', 0, 1), ('y', 0, 1)])"]}}))
    kinds = [{"name": "a b", "lower": 0, "upper": 1}, {"name": "kind", "values": ["x", 'y"']}]
    changed = {"output": {"dir": os.path.join(folder, "three")}, "task.genes": kinds, "archive": None, "strategy": {"sigma": None, "parents": np.int64(4)}}
    for given in (file, pathlib.Path(file)):
        changed["output"]["dir"] += "x"
        three = illume.run(given, threads=1, set=changed)
        assert str(three.directory) == changed["output"]["dir"] and three.config["strategy"]["parents"] == 4 and three.archive.genomes.shape[1] == 2
        assert [gene["name"] for gene in three.config["task"]["genes"]] == ["a b", "kind"] and three.config["strategy"]["sigma"] == 0.05
    for part, kind, given in [
        ("expected", ValueError, dict(out=os.path.join(folder, "bad"), set={"budget.generations": -1})),
        ("run", ValueError, dict(out=out)),
    ]:
        try:
            illume.run(config, threads=1, **given)
            raise AssertionError(part)
        except kind as error:
            assert part in str(error), error
    spec = os.path.join(folder, "sweep.toml")
    with open(spec, "w") as file:
        file.write(to_toml({"seeds": 2, "base": {k: v for k, v in config.items() if k != "seed"}, "parameters": {"strategy": {"sigma": [0.02, 0.1]}}}))
    at = os.path.join(folder, "sweep")
    subprocess.run([program, "sweep", "run", spec, "--out", at], check=True, stdout=subprocess.DEVNULL)
    sweep = illume.load(at)
    table = sweep.table
    assert len(table) == 4 == len(sweep.runs) and set(table.status) == {"done"} and set(table["strategy.sigma"]) == {0.02, 0.1}
    for id, member in sweep.runs.items():
        assert member.config["strategy"]["sigma"] == sweep.parameters[id]["strategy.sigma"] == table.loc[id, "strategy.sigma"]
        assert member.seed == table.loc[id, "seed"] and member.archive.qd_score == table.loc[id, "qd_score"]
    print("loads: checked")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
