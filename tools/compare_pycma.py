"""Evaluations that pycma's BIPOP-CMA-ES needs on functions of ten genes with many optima: what docs/results.md sets beside `restarts = "bipop"`.

Usage: compare_pycma.py [SEEDS] [tutorial]; 15 seeds by default. It needs `cma` (measured with 4.5.0). It calls `cma.fmin2(..., restarts=9, bipop=True)` with pycma's
defaults: its own population, active update, bounds by BoundTransform. With `tutorial` the step size has the tutorial's rate and damping, as ours has. Starts are uniform in the domain, as are ours; a run ends below the target or after LIMIT evaluations.
The other side is the test `bipop_needs_as_many_evaluations_as_that_of_pycma` in strategies/src/cma_es/tests_restarts.rs.
"""

import sys
import time
import warnings

import numpy as np

warnings.simplefilter("ignore")
import cma

N, LIMIT = 10, 1_000_000


def rastrigin(x):
    return 10 * N + np.sum(x * x - 10 * np.cos(2 * np.pi * x), axis=1)


def schwefel(x):
    return 418.9828872724338 * N - np.sum(x * np.sin(np.sqrt(np.abs(x))), axis=1)


# Name, function, half the domain, whether it bounds the genes, first step size, target.
FUNCTIONS = [
    ("Rastrigin", rastrigin, 5.0, False, 2.0, 1e-8),
    ("Schwefel", schwefel, 500.0, True, 1000 / 3, 1e-6),
]

seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
if "tutorial" in sys.argv[2:]:
    def rate(self, n, effective):
        return (effective + 2) / (n + effective + 5)

    def damping(self, n, effective, *_):
        return 1 + 2 * max(0, np.sqrt((effective - 1) / (n + 1)) - 1) + rate(self, n, effective)

    cma.sigma_adaptation.CMAAdaptSigmaCSA.compute_cs = rate
    cma.sigma_adaptation.CMAAdaptSigmaCSA.compute_damps = damping
for name, function, half, bounded, sigma, target in FUNCTIONS:
    needed, began = [], time.time()
    for seed in range(1, seeds + 1):
        start = np.random.default_rng(seed)
        options = {"seed": seed, "verbose": -9, "verb_log": 0, "signals_filename": "", "ftarget": target, "maxfevals": LIMIT}
        if bounded:
            options["bounds"] = [-half, half]
        _, es = cma.fmin2(
            None, lambda: start.uniform(-half, half, N), sigma, options, restarts=9, bipop=True,
            parallel_objective=lambda x: function(np.asarray(x)).tolist(),
        )
        best = min(b.f for b in es.all_best)
        needed.append(es.countevals if best <= target else np.inf)
        print(f"{name} seed {seed}: {es.countevals} evaluations, {es._irun - 1} restarts, best {best:.3g}", flush=True)
    found = sum(np.isfinite(needed))
    print(f"{name}: {found} of {seeds} found, median {np.median(needed):.0f} evaluations, quartiles {np.quantile(needed, 0.25):.0f} and {np.quantile(needed, 0.75):.0f}, {time.time() - began:.0f} s")
    print("  sorted:", sorted(needed))
