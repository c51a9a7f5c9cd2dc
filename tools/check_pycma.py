"""Runs pycma on ellipsoids, one of them in a box, and writes down, for every generation, the steps it drew and what it became by them.

Usage: check_pycma.py FILE. It needs `cma` (written with 4.5.0). The file that the tests of `cma_es` repeat number by number is
strategies/tests/data/pycma.txt; run this again to see that another version of pycma writes the same.

pycma runs with the tutorial's numbers where its own differ: the step size's rate and damping, the threshold of h_sigma, the expected length
of a normal vector, an initial covariance that is the identity. Its eigenvectors may have other signs than ours, so the file holds steps (x - mean) / sigma, not the normal numbers behind them;
in the box x is what pycma folds into it by its default BoundTransform, and `genes` is what it evaluates.
"""

import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
import cma
from cma.utilities.math import Mh


def record(out, target, condition, population, generations, gap, start, sigma, bounds):
    n = len(target)
    axes = np.linalg.qr(np.random.default_rng(7).normal(size=(n, n)))[0]

    def ellipsoid(x):
        return float(np.sum((condition ** (np.arange(n) / (n - 1))) * (axes @ (x - target)) ** 2))

    options = {"popsize": population, "seed": 3, "verbose": -9, "updatecovwait": gap, "CMA_diagonal_decoding": 0, "tolfun": 0, "tolx": 0}
    es = cma.CMAEvolutionStrategy(start, sigma, options | ({"bounds": bounds} if bounds else {}))
    es.sm.C, es.sm.B, es.sm.D = np.eye(n), np.eye(n), np.ones(n)
    step_size, effective = es.adapt_sigma, es.sp.weights.mueff
    step_size.initialize(es)
    step_size.cs = (effective + 2) / (n + effective + 5)
    step_size.damps = 1 + 2 * max(0, np.sqrt((effective - 1) / (n + 1)) - 1) + step_size.cs
    chi = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))

    def path_moves(es):
        step_size._update_ps(es)
        length = np.linalg.norm(step_size.ps) / np.sqrt(1 - (1 - step_size.cs) ** (2 * es.countiter))
        return length < (1.4 + 2 / (n + 1)) * chi

    step_size.hsig = path_moves
    Mh.chiN = staticmethod(lambda n: chi)

    def write(name, values):
        print(name, *(repr(float(v)) for v in np.ravel(values)), file=out)

    print("shape", n, population, generations, gap, file=out)
    if bounds:
        write("bounds", bounds)
        write("start", start)
    write("sigma", es.sigma)
    for generation in range(generations):
        solutions = es.ask()
        unbounded = [es.sent_solutions[x]["geno"] for x in solutions] if bounds else solutions
        steps = (np.array(unbounded) - es.mean) / es.sigma
        fitness = [ellipsoid(x) for x in solutions]
        es.tell(solutions, fitness)
        write("steps", steps)
        if bounds:
            write("genes", solutions)
        print("order", *np.argsort(fitness), file=out)
        write("mean", es.mean)
        write("sigma", es.sigma)
        write("sigma_path", step_size.ps)
        write("path", es.pc)
        write("covariance", es.sm.C[np.tril_indices(n)])
    assert np.all(es.sigma_vec.scaling == 1), "pycma has narrowed a gene, which is not recorded"
    print(f"pycma {cma.__version__}: {generations} generations, best {min(fitness):.3g} at {solutions[np.argmin(fitness)]}, sigma {es.sigma:.3g}, axis ratio {es.D.max() / es.D.min():.3g}")


with open(sys.argv[1], "w") as out:
    print(f"# pycma {cma.__version__}: tools/check_pycma.py; `steps` [members, n] and `order` go in, the rest is what became of the distribution", file=out)
    record(out, np.arange(1.0, 6), 1e4, 9, 30, 2, np.zeros(5), 0.5, None)
    # The optimum is on a face of the box: one gene wants to be above it, one below.
    record(out, np.array([1.2, 0.3, -0.4]), 10.0, 7, 25, 1, np.array([0.7, 0.6, 0.02]), 0.08, [0, 1])
