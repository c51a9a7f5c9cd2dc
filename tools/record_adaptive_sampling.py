"""Records what the authors' Adaptive-Sampling archive holds after candidates that a Rust test can repeat exactly.

    python tools/record_adaptive_sampling.py UQD archives/tests/data

UQD is a folder with the authors' files of the same place and name
core/containers/archive_sampling_repertoire.py, core/containers/adaptive_sampling_repertoire.py and core/sampling.py
from https://github.com/adaptive-intelligent-robotics/Uncertain_Quality_Diversity (recorded from 47e7162).

Needs, with Python 3.11 (what qdax asks of brax, chex and jumanji, for its types alone, is stood in for):

    pip install jax==0.4.28 jaxlib==0.4.28 numpy==1.26.4 scipy==1.12.0 scikit-learn==1.5.2 msgpack absl-py rich PyYAML
    pip install --no-deps qdax==0.4.0 flax==0.8.5

120 candidates come one after another to six cells along one axis (centres 0.5 to 5.5) of three places each. Estimates
of fitness and descriptor are the means of all evaluations (500 are kept at most, which none has). What the k-th evaluation of a candidate gives, see `evaluate`.

Two files are written. adaptive_sampling.csv: who lies where after each candidate, cell by cell, best first. adaptive_sampling_evaluations.csv: after each candidate, how
many evaluations were made so far (`evaluations`) and what the authors' own counter says (`counted`), which adds one,
without an evaluation, each time that a member moves to another cell.

One expression of theirs is changed when it is read. A cell whose members are evaluated anew is emptied first, and they
write -inf for its evaluations, where they write NaN for an empty place everywhere else. They count what is not NaN, so
a place that stays empty would look like a member with all evaluations, and the next candidate would get it only
after as many.
"""

import os
import sys

import numpy as np
from stand_ins import stand_in

CELLS, DEPTH, KEPT, CANDIDATES = 6, 3, 500, 120

folder, out = sys.argv[1:]
sys.path.insert(0, folder)
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from core.sampling import average, std  # noqa: E402

path = os.path.join(folder, "core", "containers", "adaptive_sampling_repertoire.py")
with open(path) as f:
    source = f.read()
wrong = "-jnp.inf * jnp.ones((1, depth, elites_all_fitnesses.shape[-1]))"
assert source.count(wrong) == 1, "the expression to change is not there"
adaptive = stand_in("adaptive_sampling_repertoire")
exec(compile(source.replace(wrong, wrong.replace("-jnp.inf", "jnp.nan")), path, "exec"), adaptive.__dict__)


def word(x):
    return x & 0xFFFFFFFF


def uniform(i, k, which):
    """As in the test, to the bit: in [0, 1), a multiple of 2^-24."""
    h = word(374_761_393 + i * 2_654_435_761 + k * 2_246_822_519 + which * 3_266_489_917)
    h = word((h ^ (h >> 15)) * 2_246_822_519)
    h = word((h ^ (h >> 13)) * 3_266_489_917)
    h ^= h >> 16
    return (h >> 8) / 2**24


def evaluate(i, k):
    """Fitness and descriptor from the k-th evaluation (the first is k = 0) of candidate i."""
    quality, place = uniform(i, 1000, 0), 6 * uniform(i, 1000, 1)
    fitness = quality + 0.6 * (uniform(i, k, 2) - 0.5)
    return fitness, min(max(place + 1.2 * (uniform(i, k, 3) - 0.5), 0.0), 5.999)


made = [0] * CANDIDATES


def score(genomes, key):
    fitnesses, descriptors = [], []
    # The only gene is the candidate's number plus one, so that the zero of an empty place would be seen.
    for i in np.asarray(genomes)[:, 0].round().astype(int) - 1:
        assert i >= 0, "an empty place was evaluated"
        fitness, descriptor = evaluate(int(i), made[i])
        made[i] += 1
        fitnesses.append(fitness)
        descriptors.append([descriptor])
    return jnp.array(fitnesses, float), jnp.array(descriptors, float), {}, key


estimates = {
    "fitness_extractor": average,
    "fitness_reproducibility_extractor": std,
    "descriptor_extractor": average,
    "descriptor_reproducibility_extractor": std,
    "scoring_fn": score,
}
members = ["step,cell,candidate,evaluations,fitness,descriptor"]
evaluations = ["step,evaluations,counted"]
archive = None
for i in range(CANDIDATES):
    genome = jnp.array([[i + 1.0]])
    if archive is None:
        archive = adaptive.AdaptiveSamplingRepertoire.init(
            genotypes=genome,
            centroids=jnp.arange(CELLS)[:, None] + 0.5,
            depth=DEPTH,
            num_evals=KEPT,
            random_key=jax.random.PRNGKey(0),
            maximum_evals_per_generation=1_000_000_000,
            **estimates,
        )
    else:
        archive = archive.add(batch_of_genotypes=genome, **estimates)
    step = i + 1
    evaluations.append(f"{step},{sum(made)},{int(archive.total_evaluations)}")
    kept = np.sum(~np.isnan(np.asarray(archive.fitnesses_depth_all)), axis=-1)
    for cell in range(CELLS):
        for place in range(DEPTH):
            fitness = float(archive.fitnesses_depth[cell, place])
            if fitness > -np.inf:
                candidate = round(float(archive.genotypes_depth[cell, place, 0])) - 1
                descriptor = float(archive.descriptors_depth[cell, place, 0])
                row = f"{step},{cell},{candidate},{kept[cell, place]},{fitness:.7g},{descriptor:.7g}"
                members.append(row)
os.makedirs(out, exist_ok=True)
for name, lines in [("adaptive_sampling.csv", members), ("adaptive_sampling_evaluations.csv", evaluations)]:
    with open(os.path.join(out, name), "w") as f:
        f.write("\n".join(lines) + "\n")
