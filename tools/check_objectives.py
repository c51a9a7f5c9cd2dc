"""Records what pymoo makes of drawn genomes by the functions of ZDT and DTLZ, and ends of their fronts, for the tests of `envs/src/objectives`.

Usage: check_objectives.py > envs/tests/data/pymoo_functions.txt      (for a Python with pymoo 0.6.2)

A line: name, objectives, genes, the genes (single-precision numbers, those of ZDT4 mapped from [-5, 5] to [0, 1]), the costs.
A line `front`: name, objectives, the number of points, the least and the most of each cost among pymoo's points of the front.
"""

import numpy as np
import pymoo
from pymoo.problems import get_problem
from pymoo.util.ref_dirs import get_reference_directions

draw = np.random.default_rng(17)


def say(*values):
    print(*(v if isinstance(v, str) else repr(float(v)) if isinstance(v, (float, np.floating)) else int(v) for v in values))


print(f"# Written by tools/check_objectives.py with pymoo {pymoo.__version__}.")
for name in ["zdt1", "zdt2", "zdt3", "zdt4", "zdt6"]:
    problem = get_problem(name)
    genes = draw.random((4, problem.n_var)).astype(np.float32)
    genes[2, 1:] = 0.5 if name == "zdt4" else 0.0
    genes[3] = 0.5
    values = genes.astype(np.float64)
    if name == "zdt4":
        values[:, 1:] = values[:, 1:] * 10 - 5
    for row, costs in zip(genes, problem.evaluate(values)):
        say(name, 2, problem.n_var, *row, *costs)
    front = problem.pareto_front()
    say("front", name, 2, len(front), *front.min(axis=0), *front.max(axis=0))
for name in [f"dtlz{i}" for i in range(1, 8)]:
    for objectives in (2, 3, 5):
        problem = get_problem(name, n_var=objectives + 4, n_obj=objectives)
        genes = draw.random((3, problem.n_var)).astype(np.float32)
        genes[2] = 0.5
        for row, costs in zip(genes, problem.evaluate(genes.astype(np.float64))):
            say(name, objectives, problem.n_var, *row, *costs)
    if name in ("dtlz1", "dtlz2", "dtlz3", "dtlz4"):
        front = get_problem(name, n_obj=3).pareto_front(get_reference_directions("das-dennis", 3, n_partitions=12))
        say("front", name, 3, len(front), *front.min(axis=0), *front.max(axis=0))
