"""What the loop of ask and tell costs from Python, beside pyribs: sphere with 100 genes, an archive of 500 x 500 cells.

    bench_python.py --ribs RIBS_PYTHON [--illume PYTHON] [--repeats 5] [--threads 1]

RIBS_PYTHON is a Python with ribs, PYTHON one with illume (default: this one). Each measurement is a process of its own, pyribs and illume alternating. Per generation: time of
ask and tell alone, the objective left out (numpy, the same for both), after `warm` generations; wall-clock and processor time of the process, medians and ranges. The loop with the objective
stands beside it. Both libraries' numerics are held to one thread unless --threads says more for illume.

cma_me: 15 emitters of 36, two-stage improvement ranking, filter selection, restart without improvement, sigma 0.5, from zeros, as in pyribs' examples/sphere.py. map_elites: 540 candidates by iso+line.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

DIM, CELLS = 100, 500
REACH = DIM / 2 * 5.12


def sphere(genomes):
    import numpy as np

    shift = 5.12 * 0.4
    worst = (-5.12 - shift) ** 2 * DIM
    raw = np.sum(np.square(genomes - shift), axis=1)
    clipped = np.where((genomes < -5.12) | (genomes > 5.12), 5.12 / genomes, genomes)
    return (raw - worst) / -worst * 100, np.stack([clipped[:, : DIM // 2].sum(axis=1), clipped[:, DIM // 2 :].sum(axis=1)], axis=1)


def ribs_loop(strategy):
    import numpy as np
    from ribs.archives import GridArchive
    from ribs.emitters import EvolutionStrategyEmitter, IsoLineEmitter
    from ribs.schedulers import Scheduler

    archive = GridArchive(solution_dim=DIM, dims=(CELLS, CELLS), ranges=[(-REACH, REACH)] * 2, seed=1)
    zeros = np.zeros(DIM)
    if strategy == "cma_me":
        emitters = [
            EvolutionStrategyEmitter(archive, x0=zeros, sigma0=0.5, ranker="2imp", selection_rule="filter", restart_rule="no_improvement", batch_size=36, seed=s)
            for s in range(15)
        ]
    else:
        emitters = [IsoLineEmitter(archive, x0=zeros, iso_sigma=0.01, line_sigma=0.2, batch_size=540, seed=1)]
    scheduler = Scheduler(archive, emitters)
    return scheduler.ask, scheduler.tell, lambda: float(archive.stats.coverage)


def illume_loop(strategy, threads):
    import illume

    if strategy == "cma_me":
        given = {"emitters": 15, "batch": 36, "sigma": 0.5, "center": "zeros", "selection": "filter", "restart": "no_improvement"}
    elif strategy == "cma_me (cholesky)":
        given = {"emitters": 15, "batch": 36, "sigma": 0.5, "center": "zeros", "optimizer": "cholesky_cma_es", "restart": "no_improvement"}
    else:
        given = {"batch": 540, "iso_sigma": 0.01, "line_sigma": 0.2}
    config = {"strategy": {"name": strategy.split()[0], **given}, "archive": {"shape": [CELLS, CELLS]}}
    descriptor = [("first", -REACH, REACH), ("second", -REACH, REACH)]
    optimizer = illume.Optimizer(config, dim=DIM, descriptor=descriptor, init={"mean": 0.0, "sd": 0.01}, seed=1, threads=threads)
    return optimizer.ask, optimizer.tell, lambda: optimizer.metrics["coverage"]


def measure(library, strategy, warm, generations, threads):
    ask, tell, coverage = ribs_loop(strategy) if library == "ribs" else illume_loop(strategy, threads)
    wall = cpu = whole = 0.0
    for generation in range(warm + generations):
        if generation == warm:
            wall = cpu = 0.0
            whole = time.perf_counter()
        began, used = time.perf_counter(), time.process_time()
        genomes = ask()
        wall, cpu = wall + time.perf_counter() - began, cpu + time.process_time() - used
        values = sphere(genomes)
        began, used = time.perf_counter(), time.process_time()
        tell(*values)
        wall, cpu = wall + time.perf_counter() - began, cpu + time.process_time() - used
    whole = time.perf_counter() - whole
    print(json.dumps({"wall": 1e3 * wall / generations, "cpu": 1e3 * cpu / generations, "whole": 1e3 * whole / generations, "coverage": coverage()}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ribs", help="a Python with ribs")
    parser.add_argument("--illume", default=sys.executable, help="a Python with illume")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of illume")
    parser.add_argument("--generations", type=int, default=200)
    parser.add_argument("--warm", type=int, default=100)
    parser.add_argument("--child", nargs=2, metavar=("LIBRARY", "STRATEGY"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        return measure(*given.child, given.warm, given.generations, given.threads)
    if not given.ribs:
        parser.error("--ribs: expected a Python with ribs")
    single = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}
    kinds = [("cma_me", "ribs"), ("cma_me", "illume"), ("cma_me (cholesky)", "illume"), ("map_elites", "ribs"), ("map_elites", "illume")]
    found = {kind: [] for kind in kinds}
    for _ in range(given.repeats):
        for strategy, library in kinds:
            python = given.ribs if library == "ribs" else given.illume
            environment = {**os.environ, **single}
            if library == "ribs":
                environment.pop("PYTHONPATH", None)
            more = ["--warm", str(given.warm), "--generations", str(given.generations), "--threads", str(given.threads)]
            command = [python, os.path.abspath(__file__), "--child", library, strategy, *more]
            found[strategy, library].append(json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()[-1]))
    print(f"ms a generation of 540, median (lowest to highest) of {given.repeats}; {given.generations} generations after {given.warm}; illume with {given.threads} thread(s)")
    print(f"{'':27}{'processor, ask + tell':>32}{'wall clock, ask + tell':>32}{'wall clock with objective':>32}   coverage")
    for (strategy, library), rows in found.items():
        cells = []
        for key in ("cpu", "wall", "whole"):
            values = sorted(row[key] for row in rows)
            cells.append(f"{statistics.median(values):.2f} ({values[0]:.2f} to {values[-1]:.2f})")
        print(f"{strategy:19}{library:8}" + "".join(f"{cell:>32}" for cell in cells) + f"   {rows[0]['coverage']:.4f}")
    for strategy, ours in [("cma_me", "cma_me"), ("cma_me", "cma_me (cholesky)"), ("map_elites", "map_elites")]:
        median = {library: statistics.median(row["cpu"] for row in found[name, library]) for name, library in [(strategy, "ribs"), (ours, "illume")]}
        print(f"{ours}: pyribs takes {median['ribs'] / median['illume']:.1f} times the processor time of illume for ask and tell")


main()
