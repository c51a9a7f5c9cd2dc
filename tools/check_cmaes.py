"""Runs CMA-ES with margin of the package `cmaes` (written with 0.13.1, numpy and scipy) on functions of real, integer and binary variables.

Usage: check_cmaes.py record > strategies/tests/data/cmaes_margin.txt   the steps it drew in every generation, the cells of its members, and what became of its distribution
       check_cmaes.py table [SEEDS]                                     the evaluations that it needs, beside ours in docs/results.md

Variables are coordinates as illume has them: an integer of n values is one of n equal cells of [0, 1].
"""

import sys

import numpy as np
from cmaes import CMAwM


def optimizer(cells, mean, sigma, population, seed, margin=None):
    bounds = np.array([[0.5 / n, 1 - 0.5 / n] if n else [-np.inf, np.inf] for n in cells])
    steps = np.array([1 / n if n else 0 for n in cells])
    return CMAwM(np.array(mean, float), sigma, bounds, steps, seed=seed, population_size=population, margin=margin)


def cell(x, cells):
    return np.array([min(int(z * n), n - 1) for z, n in zip(x, cells) if n])


def record():
    cells = [0, 0, 0, 9, 4, 2, 2]
    real, population, generations = 3, 9, 60
    best = np.array([2, 3, 1, 0])
    mean = [0.35, 0.6, 0.45, 0.5, 0.3, 0.5, 0.5]
    es = optimizer(cells, mean, 0.2, population, 5)
    line = lambda name, values: print(name, *(repr(float(v)) for v in np.ravel(values)))
    print(f"# Written by tools/check_cmaes.py with cmaes 0.13.1.")
    line("shape", [len(cells), population, generations])
    line("cells", cells)
    line("mean", mean)
    line("sigma", [0.2])
    line("weights", es._cma._weights)
    line("rates", [es._cma._c1, es._cma._cmu])
    for _ in range(generations):
        asked = [es.ask() for _ in range(population)]
        before = (es._cma._mean.copy(), es._cma._sigma)
        members = [cell(x, cells) for x, _ in asked]
        values = [np.sum((raw[:real] - 0.5) ** 2) * 20 + np.sum(np.abs(m - best)) for m, (_, raw) in zip(members, asked)]
        line("steps", [(raw - before[0]) / before[1] for _, raw in asked])
        line("members", members)
        line("order", np.argsort(values, kind="stable"))
        es.tell([(raw, v) for (_, raw), v in zip(asked, values)])
        discrete = es._discrete_idx
        line("after", [*es._cma._mean, es._cma._sigma, *es._A[discrete], *np.diag(es._cma._C)])


def functions(dim):
    """Name, cells, and function of real coordinates and cells; all are 0 at their optimum. As in the paper, but that reals lie in an interval of length 20, and that the best binaries are 0."""
    half = dim // 2
    square = lambda x: np.sum((20 * (x - 0.5)) ** 2)
    leading = lambda m: next((i for i, bit in enumerate(m) if bit), half)
    yield "SphereOneMax", [0] * half + [2] * half, lambda x, m: square(x) + np.sum(m)
    yield "SphereLeadingOnes", [0] * half + [2] * half, lambda x, m: square(x) + half - leading(m)
    yield "SphereInt", [0] * half + [21] * half, lambda x, m: square(x) + np.sum((m - 10.0) ** 2)


def table(seeds):
    dim = 20
    population, half = 4 + int(3 * np.log(dim)), dim // 2
    for name, cells, f in functions(dim):
        needed = []
        for seed in range(1, seeds + 1):
            es = optimizer(cells, np.random.default_rng(seed).uniform(0.55, 0.65, dim), 0.05, population, seed)
            for generation in range(20_000 // population):
                told = []
                for _ in range(population):
                    x, raw = es.ask()
                    told.append((raw, f(raw[:half], cell(x, cells))))
                if min(v for _, v in told) < 1e-10:
                    needed.append(population * (generation + 1))
                    break
                es.tell(told)
        print(name, f"{len(needed)}/{seeds}", *np.quantile(needed, [0.25, 0.5, 0.75]), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["record"]:
        record()
    else:
        table(int(sys.argv[2]) if len(sys.argv) > 2 else 51)
