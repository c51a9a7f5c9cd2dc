"""Records what the authors' program of ARS makes of given noise, for the test that repeats it.

Usage: check_ars.py CODE > strategies/tests/data/ars.txt

CODE is the folder `code` of github.com/modestyachts/ARS (at 4c8e24e). Its learner is run as it is, with stand-ins for Ray, Gym and the workers. Lines are those of check_evotorch.py; the state
is the mean, and settings are the directions that are used.
"""

import sys
import types

import numpy as np
from recorded import DIM, GENERATIONS, SIGMA, fitness, noise, order, say

sys.path.insert(0, sys.argv[1])
for name in ["ray", "gym", "parser", "logz"]:
    sys.modules[name] = types.ModuleType(name)
ray = sys.modules["ray"]
ray.remote = lambda what: what
ray.put = ray.get = lambda what: what
import ars  # noqa: E402
import optimizers  # noqa: E402

DIRECTIONS, STEP = 6, 0.3
ars.print = lambda *_: None


def record(used):
    learner = ars.ARSLearner.__new__(ars.ARSLearner)
    learner.num_deltas, learner.deltas_used, learner.num_workers, learner.timesteps, learner.shift = DIRECTIONS, used, 1, 0, 0
    learner.w_policy = np.zeros(DIM)
    learner.optimizer = optimizers.SGD(learner.w_policy, STEP)
    print("run", "ars", 2 * DIRECTIONS, used)
    for generation in range(GENERATIONS):
        z = noise(generation, DIRECTIONS)
        told = {}

        class Rollouts:
            @staticmethod
            def remote(weights, num_rollouts, shift, evaluate):
                deltas = SIGMA * z[:num_rollouts]
                rewards = np.stack([fitness(weights + deltas), fitness(weights - deltas)], axis=1)
                if num_rollouts:
                    told["fitness"] = rewards.ravel().copy()
                return {"deltas_idx": list(range(num_rollouts)), "rollout_rewards": [list(r) for r in rewards], "steps": 0}

        worker = types.SimpleNamespace(do_rollouts=Rollouts)
        learner.workers = [worker]
        learner.deltas = types.SimpleNamespace(get=lambda i, size: z[i])
        learner.train_step()
        say("order", order(told["fitness"]))
        say("fitness", told["fitness"])
        say("after", learner.w_policy)


print("# Written by tools/check_ars.py with github.com/modestyachts/ARS at 4c8e24e.")
record(DIRECTIONS)
record(2)
