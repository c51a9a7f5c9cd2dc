"""Records what pyribs does: archives with thresholds, and the emitters of CMA-ME and CMA-MAE, for the tests that repeat it.

Usage: check_pyribs.py thresholds > archives/src/soft/recorded.csv
       check_pyribs.py emitters > strategies/tests/data/pyribs.txt
       check_pyribs.py gradients > strategies/tests/data/pyribs_gradients.txt
       check_pyribs.py optimizers > strategies/tests/data/pyribs_optimizers.txt

It needs `ribs==0.12.0`. Run it again to see that another version says the same. `thresholds` is an archive of 6 cells that is handed batches of random fitness and
cells, by `add` as a whole (add_mode "batch") or by `add_single` one after another ("single"): status 0 for not added, 1 for improved, 2 for new; the value by which candidates are ranked; and the cell's threshold after the batch, empty where
the cell is. `emitters` is a search of 8 candidates on a sphere of 5 genes over 30 iterations, of CMA-ME (selection mu, then filter) and of CMA-MAE; the search is set
back to an elite every 12 iterations. Its eigenvectors may have other signs than ours, so the file holds steps (x - mean) / sigma, not the normal numbers behind them. `gradients` is CMA-MEGA so (gradient ascent, then Adam with the filter), and CMA-MAEGA: the Jacobian
at the point, steps of the coefficients, and behind the coefficients' mean and step size the point. `optimizers` is LM-MA-ES, with the better half as parents and with few, and OpenAI-ES on given noise; lines are those of check_evotorch.py, and the state is
the mean, for LM-MA-ES also the step size, its path and its vectors.
"""

import sys

import numpy as np
import recorded
from ribs.archives import GridArchive
from ribs.emitters import EvolutionStrategyEmitter, GradientArborescenceEmitter
from ribs.emitters.opt import LMMAEvolutionStrategy, OpenAIEvolutionStrategy
from ribs.schedulers import Scheduler

CELLS = 6
# Learning rate and least threshold; None for MAP-Elites.
SETTINGS = [(1.0, None), (0.1, 0.0), (0.5, -1.0), (0.0, 1.0)]


def thresholds():
    print("add_mode,learning_rate,threshold_min,batch,cell,fitness,status,value,threshold")
    for mode, (rate, least) in [(mode, setting) for mode in ("batch", "single") for setting in SETTINGS]:
        rng = np.random.default_rng(1)
        archive = GridArchive(solution_dim=1, dims=[CELLS], ranges=[(0.0, CELLS)], learning_rate=rate,
                              threshold_min=-np.inf if least is None else least, dtype=np.float64)
        for batch in range(6):
            cell = rng.integers(CELLS, size=10)
            # Halves, so that ties are among them.
            fitness = np.round(4.0 * rng.normal(size=10)) / 2.0
            if mode == "batch":
                added = archive.add(np.zeros((10, 1)), fitness, cell[:, None] + 0.5)
            else:
                one = [archive.add_single(np.zeros(1), f, np.array([c + 0.5])) for c, f in zip(cell, fitness)]
                added = {name: [info[name] for info in one] for name in ("status", "value")}
            occupied, elites = archive.retrieve(np.arange(CELLS)[:, None] + 0.5)
            for c, f, status, value in zip(cell, fitness, added["status"], added["value"]):
                after = repr(float(elites["threshold"][c])) if occupied[c] else ""
                least_word = "" if least is None else least
                print(mode, rate, least_word, batch, c, float(f), status, float(value), after, sep=",")


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


def run_gradients(ranker, selection, optimizer, lr, rate, least):
    """Branches of one point along the gradients of a function that bends."""
    archive = GridArchive(solution_dim=DIM, dims=[10, 10], ranges=[(-5.0, 5.0)] * 2, learning_rate=rate, threshold_min=least, seed=1)
    emitter = GradientArborescenceEmitter(archive, x0=np.zeros(DIM), sigma0=SIGMA, lr=lr, ranker=ranker, selection_rule=selection, restart_rule=EVERY,
                                          grad_opt=optimizer, batch_size=BATCH, seed=1)
    scheduler = Scheduler(archive, [emitter])
    scale = 1.0 + np.arange(DIM)

    def say(name, *values):
        # Our genomes are of single precision.
        print(name, *(f"{float(x):.9g}" for value in values for x in np.ravel(value)))

    def evaluated(x):
        return 100.0 - np.sum(scale * (x - 1.0) ** 2, axis=1), np.stack([x[:, 0] + x[:, 1] * x[:, 2], 3.0 * np.sin(x[:, 3]) + x[:, 4]], axis=1)

    def jacobian(x):
        rise = -2.0 * scale * (x - 1.0)
        return np.array([[rise[0], [1.0, x[0, 2], x[0, 1], 0.0, 0.0], [0.0, 0.0, 0.0, 3.0 * np.cos(x[0, 3]), 1.0]]])

    print("search", ranker, selection, optimizer)
    coefficients, told, report = [], [], []
    opt, tell = emitter._opt, emitter.tell
    ask, learn = opt.ask, opt.tell

    def asked(*args):
        coefficients[:] = [ask(*args)]
        return coefficients[0]

    def learned(indices, values, parents):
        learn(indices, values, parents)
        told[:] = [(indices, parents, opt.mean.copy(), opt.sigma)]

    def taken(solution, objective, measures, add_info, **fields):
        report[:] = [add_info]
        step, before = emitter._grad_opt.step, emitter.restarts

        def stepped(gradient):
            step(gradient)
            told.append(emitter._grad_opt.theta.copy())

        emitter._grad_opt.step = stepped
        tell(solution, objective, measures, add_info, **fields)
        emitter._grad_opt.step = step
        report.append(emitter.restarts > before)

    opt.ask, opt.tell, emitter.tell = asked, learned, taken
    for _ in range(ITERATIONS):
        point = scheduler.ask_dqd()
        gradients = jacobian(point)
        say("jacobian", gradients)
        scheduler.tell_dqd(*evaluated(point), gradients.copy())
        mean, sigma = opt.mean.copy(), opt.sigma
        x = scheduler.ask()
        objective, measures = evaluated(x)
        scheduler.tell(objective, measures)
        say("steps", (coefficients[0] - mean) / sigma)
        say("rows", objective, measures)
        say("report", report[0]["status"], report[0]["value"])
        (indices, parents, after, next_sigma), theta = told
        say("order", indices, parents)
        say("after", after, next_sigma, theta)
        if report[1]:
            say("restart", emitter._grad_opt.theta)


def gradients():
    print("# Written by tools/check_pyribs.py with ribs 0.12.0.")
    run_gradients("2imp", "mu", "gradient_ascent", 1.0, 1.0, -np.inf)
    run_gradients("2imp", "filter", "adam", 0.05, 1.0, -np.inf)
    run_gradients("imp", "mu", "gradient_ascent", 0.5, 0.1, 0.0)


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
    {"thresholds": thresholds, "emitters": emitters, "gradients": gradients, "optimizers": optimizers}[sys.argv[1]]()
