"""Records what EvoTorch's SNES, XNES and PGPE make of given noise, for the test that repeats it.

Usage: check_evotorch.py > strategies/tests/data/evotorch.txt

It needs `evotorch==0.6.1`; run it again to see that another version says the same. Numbers are of double precision. A run begins with a line `run`: its name, members, and settings;
then, for each generation, the order of its members (best first), their fitness, and the state after the update: the mean, then the standard deviations (SNES, PGPE) or the rows of A (XNES).
"""

import logging

import numpy as np
import torch
from evotorch import Problem
from evotorch.algorithms import PGPE, SNES, XNES
from evotorch.distributions import Distribution
from recorded import DIM, GENERATIONS, SIGMA, fitness, noise, order, say

logging.disable(logging.INFO)
MEMBERS = 8


def record(name, make, settings=""):
    drawn = {"generation": 0}

    def make_gaussian(self, *, out, center=None, stdev=None, symmetric=False, generator=None):
        directions = MEMBERS // 2 if symmetric else MEMBERS
        z = torch.tensor(noise(drawn["generation"], directions), dtype=torch.float64)
        drawn["generation"] += 1
        out[:] = torch.stack([z, -z], dim=1).reshape(MEMBERS, DIM) if symmetric else z
        if stdev is not None:
            out *= stdev
        if center is not None:
            out += center
        return out

    Distribution.make_gaussian = make_gaussian
    problem = Problem("max", lambda x: torch.tensor(fitness(x.numpy())), solution_length=DIM, initial_bounds=(-1, 1), dtype=torch.float64,
                      vectorized=True)
    search = make(problem, dict(popsize=MEMBERS, stdev_init=SIGMA, center_init=torch.zeros(DIM, dtype=torch.float64)))
    print("run", name, MEMBERS, settings)
    search.step()
    for _ in range(GENERATIONS):
        values = search.population.evals[:, 0].numpy().copy()
        search.step()
        say("order", order(values))
        say("fitness", values)
        say("after", search.status["center"], search.status["stdev"])


print("# Written by tools/check_evotorch.py with evotorch 0.6.1.")
record("snes", lambda problem, usual: SNES(problem, **usual))
record("xnes", lambda problem, usual: XNES(problem, **usual))
for ranking in ["centered", "raw"]:
    record("pgpe", lambda problem, usual: PGPE(problem, center_learning_rate=0.15, stdev_learning_rate=0.4, ranking_method=ranking,
                                               optimizer_config={"max_speed": 0.25}, **usual), ranking)
