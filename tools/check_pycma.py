"""Runs pycma on an ellipsoid and writes down, for every generation, the steps it drew and what it became by them.

Usage: check_pycma.py FILE. It needs `cma` (written with 4.5.0). The file that the tests of `cma_es` repeat number by number is
strategies/tests/data/pycma.txt; run this again to see that another version of pycma writes the same.

pycma runs with the tutorial's numbers where its own differ: the step size's rate and damping, the threshold of h_sigma, the expected length
of a normal vector, an initial covariance that is the identity. Its eigenvectors may have other signs than ours, so the file holds steps (x - mean) / sigma, not the normal numbers behind them.
"""

import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
import cma
from cma.utilities.math import Mh

N, POPULATION, GENERATIONS, GAP = 5, 9, 30, 2
target = np.arange(1.0, N + 1)
axes = np.linalg.qr(np.random.default_rng(7).normal(size=(N, N)))[0]


def ellipsoid(x):
    return float(np.sum((1e4 ** (np.arange(N) / (N - 1))) * (axes @ (x - target)) ** 2))


es = cma.CMAEvolutionStrategy(np.zeros(N), 0.5, {
    "popsize": POPULATION, "seed": 3, "verbose": -9, "updatecovwait": GAP, "CMA_diagonal_decoding": 0, "tolfun": 0, "tolx": 0,
})
es.sm.C, es.sm.B, es.sm.D = np.eye(N), np.eye(N), np.ones(N)
step_size, effective = es.adapt_sigma, es.sp.weights.mueff
step_size.initialize(es)
step_size.cs = (effective + 2) / (N + effective + 5)
step_size.damps = 1 + 2 * max(0, np.sqrt((effective - 1) / (N + 1)) - 1) + step_size.cs
chi = np.sqrt(N) * (1 - 1 / (4 * N) + 1 / (21 * N**2))


def path_moves(es):
    step_size._update_ps(es)
    length = np.linalg.norm(step_size.ps) / np.sqrt(1 - (1 - step_size.cs) ** (2 * es.countiter))
    return length < (1.4 + 2 / (N + 1)) * chi


step_size.hsig = path_moves
Mh.chiN = staticmethod(lambda n: chi)

with open(sys.argv[1], "w") as out:
    def write(name, values):
        print(name, *(repr(float(v)) for v in np.ravel(values)), file=out)

    print(f"# pycma {cma.__version__}: tools/check_pycma.py; `steps` [members, n] and `order` go in, the rest is what became of the law", file=out)
    print("shape", N, POPULATION, GENERATIONS, GAP, file=out)
    write("sigma", es.sigma)
    for generation in range(GENERATIONS):
        solutions = es.ask()
        steps = (np.array(solutions) - es.mean) / es.sigma
        fitness = [ellipsoid(x) for x in solutions]
        es.tell(solutions, fitness)
        write("steps", steps)
        print("order", *np.argsort(fitness), file=out)
        write("mean", es.mean)
        write("sigma", es.sigma)
        write("sigma_path", step_size.ps)
        write("path", es.pc)
        write("covariance", es.sm.C[np.tril_indices(N)])
print(f"pycma {cma.__version__}: {GENERATIONS} generations, best {min(fitness):.3g}, sigma {es.sigma:.3g}, axis ratio {es.D.max() / es.D.min():.3g}")
