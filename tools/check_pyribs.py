"""Records what pyribs does: archives with thresholds, and the emitters of CMA-ME and CMA-MAE, for the tests that repeat it.

Usage: check_pyribs.py thresholds > archives/src/soft/recorded.csv
       check_pyribs.py emitters > strategies/tests/data/pyribs.txt
       check_pyribs.py optimizers > strategies/tests/data/pyribs_optimizers.txt

It needs `ribs==0.12.0`. Run it again to see that another version says the same. `thresholds` is an archive of 6 cells that is handed batches of random fitness and
cells: status 0 for not added, 1 for improved, 2 for new; the value by which candidates are ranked; and the cell's threshold after the batch, empty where
the cell is. `emitters` is a search of 8 candidates on a sphere of 5 genes over 30 iterations, of CMA-ME (selection mu, then filter) and of CMA-MAE; the search is set
back to an elite every 12 iterations. Its eigenvectors may have other signs than ours, so the file holds steps (x - mean) / sigma, not the normal numbers behind them. `optimizers` is LM-MA-ES, with the better half as parents and with few, and OpenAI-ES on given noise; lines are those of check_evotorch.py, and the state is
the mean, for LM-MA-ES also the step size, its path and its vectors.
"""

import sys

import numpy as np
import recorded
from ribs.archives import GridArchive
from ribs.emitters import EvolutionStrategyEmitter
from ribs.emitters.opt import LMMAEvolutionStrategy, OpenAIEvolutionStrategy
from ribs.schedulers import Scheduler

CELLS = 6
# Learning rate and least threshold; None for MAP-Elites.
SETTINGS = [(1.0, None), (0.1, 0.0), (0.5, -1.0), (0.0, 1.0)]


def thresholds():
    print("learning_rate,threshold_min,batch,cell,fitness,status,value,threshold")
    for rate, least in SETTINGS:
        rng = np.random.default_rng(1)
        archive = GridArchive(solution_dim=1, dims=[CELLS], ranges=[(0.0, CELLS)], learning_rate=rate,
                              threshold_min=-np.inf if least is None else least, dtype=np.float64)
        for batch in range(6):
            cell = rng.integers(CELLS, size=10)
            # Halves, so that ties are among them.
            fitness = np.round(4.0 * rng.normal(size=10)) / 2.0
            added = archive.add(np.zeros((10, 1)), fitness, cell[:, None] + 0.5)
            occupied, elites = archive.retrieve(np.arange(CELLS)[:, None] + 0.5)
            for c, f, status, value in zip(cell, fitness, added["status"], added["value"]):
                after = repr(float(elites["threshold"][c])) if occupied[c] else ""
                least_word = "" if least is None else least
                print(rate, least_word, batch, c, float(f), status, float(value), after, sep=",")


DIM, BATCH, EMITTERS, ITERATIONS, EVERY, SIGMA = 5, 8, 1, 30, 12, 0.5


def say(name, *values):
    print(name, *(repr(float(x)) for value in values for x in np.ravel(value)))


def run(ranker, selection, rate, least):
    archive = GridArchive(solution_dim=DIM, dims=[10, 10], ranges=[(-5.0, 5.0)] * 2, learning_rate=rate, threshold_min=least, seed=1)
    emitters = [EvolutionStrategyEmitter(archive, x0=np.zeros(DIM), sigma0=SIGMA, ranker=ranker, selection_rule=selection, restart_rule=EVERY,
                                         batch_size=BATCH, seed=i) for i in range(EMITTERS)]
    scheduler = Scheduler(archive, emitters)
    print("search", ranker, selection)
    for _ in range(ITERATIONS):
        x = scheduler.ask()
        before = [(emitter._opt.mean.copy(), emitter._opt.sigma) for emitter in emitters]
        objective = 100.0 - np.sum((x - 1.0) ** 2, axis=1)
        measures = np.stack([x[:, :2].sum(axis=1), x[:, 2:].sum(axis=1)], axis=1)
        told = {}

        def keep(emitter):
            tell, number = emitter._opt.tell, emitters.index(emitter)

            def call(indices, values, parents):
                tell(indices, values, parents)
                o = emitter._opt
                told[number] = (indices, parents, o.mean.copy(), o.sigma, np.diag(o.cov.cov).copy(), o.ps.copy())

            return tell, call

        usual = [keep(emitter) for emitter in emitters]
        reports = {}
        for emitter, (_, call) in zip(emitters, usual):
            emitter._opt.tell = call
            emitter_tell = emitter.tell

            def take(solution, objective, measures, add_info, _number=emitters.index(emitter), _tell=emitter_tell, **fields):
                reports[_number] = add_info
                _tell(solution, objective, measures, add_info, **fields)

            emitter.tell = take
        scheduler.tell(objective, measures)
        for number, (emitter, (tell, _)) in enumerate(zip(emitters, usual)):
            emitter._opt.tell = tell
            del emitter.tell
            rows = slice(number * BATCH, (number + 1) * BATCH)
            (mean, sigma), (indices, parents, after, next_sigma, diagonal, path) = before[number], told[number]
            say("steps", (x[rows] - mean) / sigma)
            say("rows", objective[rows], measures[rows])
            say("report", reports[number]["status"], reports[number]["value"])
            say("order", indices, parents)
            say("after", after, next_sigma, diagonal, path)
            if emitter.itrs % EVERY == 0:
                say("restart", emitter._opt.mean)


def emitters():
    print("# Written by tools/check_pyribs.py with ribs 0.12.0.")
    run("2imp", "mu", 1.0, -np.inf)
    run("2imp", "filter", 1.0, -np.inf)
    run("imp", "mu", 0.1, 0.0)


class Given:
    """Noise of generation after generation in place of a generator's."""

    def __init__(self, generator_dim):
        self.generation, self.dim = 0, generator_dim

    def standard_normal(self, shape, dtype=None):
        z = recorded.noise(self.generation, shape[0], self.dim)
        self.generation += 1
        return z


def optimizers():
    print("# Written by tools/check_pyribs.py with ribs 0.12.0.")
    dim, members = 12, 5
    for few in [False, True]:
        opt = LMMAEvolutionStrategy(sigma0=recorded.SIGMA, solution_dim=dim, batch_size=members, seed=1, n_vectors=4)
        opt.reset(np.zeros(dim))
        opt._rng = Given(dim)
        print("run lm_ma_es", members, "few" if few else "half")
        for generation in range(recorded.GENERATIONS):
            values = recorded.fitness(opt.ask())
            ranked = recorded.order(values)
            parents = generation % 4 if few else members // 2
            opt.tell(np.array(ranked), values[ranked][:, None], parents)
            recorded.say("order", ranked)
            recorded.say("fitness", values)
            recorded.say("after", opt.mean, opt.sigma, opt.ps, opt.m)
    dim, members = recorded.DIM, 8
    opt = OpenAIEvolutionStrategy(sigma0=recorded.SIGMA, solution_dim=dim, batch_size=members, seed=1, lr=0.05, l2_coeff=0.01)
    opt.reset(np.zeros(dim))
    opt._rng = Given(dim)
    print("run openai_es", members, "adam")
    # Ours come as pairs: 2i and 2i + 1 are its i and i + members / 2.
    ours = np.array([i // 2 + (i % 2) * (members // 2) for i in range(members)])
    for _ in range(recorded.GENERATIONS):
        values = recorded.fitness(opt.ask())
        ranked = recorded.order(values)
        opt.tell(np.array(ranked), values[ranked][:, None], members)
        recorded.say("order", recorded.order(values[ours]))
        recorded.say("fitness", values[ours])
        recorded.say("after", opt.adam_opt.theta)


if __name__ == "__main__":
    {"thresholds": thresholds, "emitters": emitters, "optimizers": optimizers}[sys.argv[1]]()
