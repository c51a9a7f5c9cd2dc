"""NSGA-II and NSGA-III of pymoo and of illume, in one sitting: evaluations a second and the final population's hypervolume.

Usage: compare_pymoo.py ILLUME [SEEDS], where ILLUME is the program. It needs `pymoo h5py scipy` (measured with pymoo 0.6.2, whose compiled functions are there or not as it says). Both have Deb's
numbers (crossover 0.9 with index 20 and mutation 1/n with index 20; NSGA-III 1.0, 30, 20), 100 or 92 individuals and 250 generations. Rates are evaluations in a second of one core's time, so that it does not matter
what else the machine does: pymoo's loop alone; of illume a run of LONG times as many generations on one thread, less what a run of one generation takes, which is loading libraries.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.algorithms.moo.nsga3 import NSGA3
from pymoo.functions import is_compiled
from pymoo.indicators.hv import HV
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.optimize import minimize
from pymoo.problems import get_problem
from pymoo.util.ref_dirs import get_reference_directions
from scipy.stats import mannwhitneyu

GENERATIONS, LONG = 250, 20


def pymoo(name, algorithm, seed):
    problem = get_problem(name, n_var=12, n_obj=3) if name == "dtlz2" else get_problem(name)
    mutation = PM(prob=1.0, prob_var=1.0 / problem.n_var, eta=20)
    if algorithm == "nsga2":
        searcher = NSGA2(pop_size=100, crossover=SBX(prob=0.9, eta=20), mutation=mutation)
    else:
        directions = get_reference_directions("das-dennis", 3, n_partitions=12)
        searcher = NSGA3(directions, pop_size=92, crossover=SBX(prob=1.0, eta=30), mutation=mutation)
    began = time.process_time()
    found = minimize(problem, searcher, ("n_gen", GENERATIONS), seed=seed)
    return found.pop.get("F"), time.process_time() - began


UNIQUE = {"nsga2": "\nunique = true", "nsga3": ""}


def illume(program, name, algorithm, seed, generations, folder):
    out = folder / f"{name}_{algorithm}_{seed}_{generations}"
    config = folder / "config.toml"
    config.write_text(f'seed = {seed}\n[task]\nname = "{name}"\n[strategy]\nname = "{algorithm}"{UNIQUE[algorithm]}\n[budget]\ngenerations = {generations}\n')
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([program, "run", config, "--out", out, "--threads", "1"], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    with h5py.File(out / "checkpoint.h5") as file:
        return -file["state/population/objectives"][:], after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


program, seeds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
print("pymoo's compiled functions:", is_compiled())
with tempfile.TemporaryDirectory() as folder:
    for name, algorithm in [("zdt1", "nsga2"), ("zdt2", "nsga2"), ("dtlz2", "nsga3")]:
        count = 100 if algorithm == "nsga2" else 92
        volumes, rates = {"pymoo": [], "illume": []}, {"pymoo": [], "illume": []}
        for seed in range(1, seeds + 1):
            points, seconds = pymoo(name, algorithm, seed)
            rates["pymoo"].append(GENERATIONS * count / seconds)
            volumes["pymoo"].append(HV(ref_point=np.full(points.shape[1], 1.1))(points))
            points, _ = illume(program, name, algorithm, seed, GENERATIONS, Path(folder))
            volumes["illume"].append(HV(ref_point=np.full(points.shape[1], 1.1))(points))
        for seed in range(1, 4):
            seconds = [illume(program, name, algorithm, seed, generations, Path(folder))[1] for generations in (1, 1 + LONG * GENERATIONS)]
            rates["illume"].append(LONG * GENERATIONS * count / (seconds[1] - seconds[0]))
        for who in volumes:
            volume, rate = volumes[who], rates[who]
            print(f"{name} {algorithm} {who}: hypervolume median {np.median(volume):.5f} [{min(volume):.5f}, {max(volume):.5f}], {np.median(rate):,.0f} [{min(rate):,.0f}, {max(rate):,.0f}] evaluations/s", flush=True)
        p = mannwhitneyu(volumes["pymoo"], volumes["illume"], method="exact").pvalue
        print(f"{name} {algorithm}: {np.median(rates['illume']) / np.median(rates['pymoo']):.0f} times the evaluations a second, rank-sum of hypervolumes p = {p:.3f}", flush=True)
