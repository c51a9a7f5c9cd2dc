"""Records what the authors' program of EGGROLL makes of rewards, for the test that repeats its updates.

Usage: check_eggroll.py SRC > strategies/tests/data/eggroll.txt

SRC is the folder `src` of github.com/ESHyperscale/HyperscaleES (at b77f7d6); jax 0.10.2 and optax 0.2.8. Its noiser is run as it is, on one matrix. Lines: `run`
with population, rank, rows, columns, learning rate and sigma; the `start`; for each generation the numbers of each pair (`pair`: B' by rank and column,
then A' by rank and row), the `fitness` of the members, and the matrix `after` the update.
"""

import importlib.util
import pathlib
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
from recorded import say

# The package's other modules want libraries that the noiser does not.
folder = pathlib.Path(sys.argv[1]) / "hyperscalees" / "noiser"
package = types.ModuleType("noiser")
package.__path__ = [str(folder)]
sys.modules["noiser"] = package
for name in ["base_noiser", "eggroll"]:
    spec = importlib.util.spec_from_file_location(f"noiser.{name}", folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"noiser.{name}"] = module
    spec.loader.exec_module(module)
module.print = lambda *_: None
EggRoll = module.EggRoll

ROWS, COLUMNS, GENERATIONS, RATE, SIGMA = 3, 4, 5, 2.0, 0.25


def record(population, rank):
    # A matrix is what the map of the tree calls 1.
    params, key = {"w": jnp.asarray(np.linspace(-1, 1, ROWS * COLUMNS, dtype=np.float32).reshape(ROWS, COLUMNS))}, {"w": jax.random.key(3)}
    frozen, noiser = EggRoll.init_noiser(params, SIGMA, RATE, rank=rank, noise_reuse=1)
    print("run", population, rank, ROWS, COLUMNS, RATE, SIGMA)
    say("start", params["w"])
    for generation in range(GENERATIONS):
        threads = jnp.arange(population)
        epochs = jnp.full(population, generation)
        for pair in range(population // 2):
            a, b = module.get_lora_update_params(frozen, 1.0, (generation, 2 * pair), params["w"], key["w"])
            say("pair", np.asarray(b).T, np.asarray(a).T)
        eye = jnp.eye(COLUMNS)
        member = lambda thread: EggRoll.do_mm(frozen, noiser, params["w"], key["w"], (generation, thread), eye).T
        matrices = np.stack([np.asarray(member(thread)) for thread in range(population)])
        rewards = -100.0 * np.sum((matrices - 1.0) ** 2, axis=(1, 2))
        say("fitness", rewards)
        scores = EggRoll.convert_fitnesses(frozen, noiser, jnp.asarray(rewards))
        noiser, params = EggRoll.do_updates(frozen, noiser, params, key, scores, (epochs, threads), {"w": 1})
        say("after", params["w"])


print("# Written by tools/check_eggroll.py with github.com/ESHyperscale/HyperscaleES at b77f7d6, jax 0.10.2, optax 0.2.8.")
record(8, 1)
record(6, 3)
