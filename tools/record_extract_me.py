"""Records how far the authors' Extract-MAP-Elites gets on their noisy arm, to compare with ours in distribution.

    python tools/record_extract_me.py UQD > tests/data/extract_me_arm.csv

UQD is a folder with the authors' files of the same place and name core/extract_map_elites.py,
core/archive_sampling.py, core/sampling.py, core/containers/archive_sampling_repertoire.py and tasks/arm.py from
https://github.com/adaptive-intelligent-robotics/Uncertain_Quality_Diversity (recorded from 47e7162).

Needs, with Python 3.11 (what qdax asks of brax, chex and jumanji, for its types alone, is stood in for):

    pip install jax==0.4.28 jaxlib==0.4.28 numpy==1.26.4 scipy==1.12.0 scikit-learn==1.5.2 msgpack absl-py rich PyYAML
    pip install --no-deps qdax==0.4.0 flax==0.8.5

The task: eight genes in [0, 1], Gaussian noise of standard deviation 0.1 on the fitness and 0.05 on both descriptors.
The archive: 64 cells, a regular 8 x 8 grid over [0, 1]^2, eight places each; a descriptor outside goes to the nearest
cell. Fitness and descriptor of a member are the means of all its evaluations.

256 evaluations a generation, divided as in the authors' `get_batch_size` (set_up_container.py):

- Generation 1 is 128 candidates with two evaluations each, every gene uniform in [0, 1].
- Each later one first draws 96 pairs of parents, each parent uniform among the best of the filled cells, with
  replacement. Child = first + N(0, 0.005) in each gene + N(0, 0.05) * (second - first) with one draw for all genes,
  then clipped to [0, 1].
- Then 64 members leave the archive, drawn without replacement with weight exp(-rank), rank 0 being the best of a cell;
  they get one evaluation each and the children two. Then members and children go into the archive together, members
  first; each cell keeps its best eight.

With fewer than 64 members the authors would draw empty places as well, and evaluate an arm of all zeros for each. That
never happens here: the program stops if a generation starts with fewer than 64 members.

Columns: `cells` filled ones, `members`, `fitness` the mean of the stored fitness over the best of each cell, `qd` the
sum of (stored fitness + 0.5) over the same, `corrected_qd` the same after each best was put by the arm without noise
into an empty grid which keeps the best of each cell, `evaluations` the mean number of evaluations of a member.
The corrected score is of filled cells alone (the authors' own also puts in an arm of all zeros for each empty one).
"""

import sys
from functools import partial

import numpy as np
import stand_ins  # noqa: F401

sys.path.insert(0, sys.argv[1])
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from core.extract_map_elites import ExtractMAPElites  # noqa: E402
from core.sampling import average, std  # noqa: E402
from qdax.core.containers.mapelites_repertoire import get_cells_indices  # noqa: E402
from qdax.core.emitters.mutation_operators import isoline_variation  # noqa: E402
from qdax.core.emitters.standard_emitters import MixingEmitter  # noqa: E402
from tasks.arm import ArmGaussianNoise, arm_scoring_function  # noqa: E402

GENES, DEPTH, SAMPLES, BUDGET, SEEDS, GENERATIONS, RECORDED = 8, 8, 2, 256, 20, 20, (1, 5, 10, 20)
EXTRACTS = int(BUDGET * 0.25)
CHILDREN = (BUDGET - EXTRACTS) // SAMPLES
side = (np.arange(8) + 0.5) / 8
centers = jnp.array([[x, y] for x in side for y in side])

variation = partial(isoline_variation, iso_sigma=0.005, line_sigma=0.05, minval=0, maxval=1)
emitter = MixingEmitter(mutation_fn=None, variation_fn=variation, variation_percentage=1.0, batch_size=CHILDREN)
algorithm = ExtractMAPElites(
    scoring_function=ArmGaussianNoise(fit_std=0.1, desc_std=0.05, params_std=0.0).scoring_fn,
    emitter=emitter,
    metrics_function=lambda _: {},
    depth=DEPTH,
    batch_size=CHILDREN + EXTRACTS,
    emit_batch_size=CHILDREN,
    max_number_evals=500,
    num_samples=SAMPLES,
    repertoire_num_samples=1,
    fitness_extractor=average,
    fitness_reproducibility_extractor=std,
    descriptor_extractor=average,
    descriptor_reproducibility_extractor=std,
    extract_type="proportional",
)


def row(archive, key):
    best = np.asarray(archive.fitnesses)
    filled = best > -np.inf
    members = np.asarray(archive.fitnesses_depth) > -np.inf
    fitnesses, descriptors, _, _ = arm_scoring_function(archive.genotypes, key)
    cells = np.asarray(get_cells_indices(descriptors, centers))
    corrected = np.full(len(centers), -np.inf)
    np.maximum.at(corrected, cells[filled], np.asarray(fitnesses)[filled])
    corrected = corrected[corrected > -np.inf]
    evaluations = np.sum(~np.isnan(np.asarray(archive.fitnesses_depth_all)), axis=-1)[members]
    scores = [best[filled].mean(), (best[filled] + 0.5).sum(), (corrected + 0.5).sum(), evaluations.mean()]
    return ",".join([str(filled.sum()), str(members.sum()), *(f"{x:.7g}" for x in scores)])


print("seed,generation,cells,members,fitness,qd,corrected_qd,evaluations")
for seed in range(SEEDS):
    key, first = jax.random.split(jax.random.PRNGKey(seed))
    genomes = jax.random.uniform(first, (BUDGET // SAMPLES, GENES))
    archive, state, key = algorithm.init(genomes, centers, key)
    for generation in range(1, GENERATIONS + 1):
        if generation > 1:
            members = int((archive.fitnesses_depth > -jnp.inf).sum())
            assert members >= EXTRACTS, f"only {members} members: empty places would be drawn"
            archive, state, _, key = algorithm.update(archive, state, key)
        if generation in RECORDED:
            print(f"{seed},{generation},{row(archive, key)}", flush=True)
