"""Gymnasium's environments as workers, for tests/python_package.rs.

check_gym.py any
check_gym.py walker RUN: elites of a run of walker2d_uni, played in Gymnasium.
"""

import json
import subprocess
import sys

import numpy as np

import illume
from illume.gym_worker import NumpyPolicies
from illume._illume import Policies


def any():
    """Episodes of a batch are those of genomes alone; classic tasks of either kind of action; the module as a command."""
    rng = np.random.default_rng(0)
    for name, given in [
        ("Pendulum-v1", dict(descriptor="final:0,1", episodes=2)),
        ("CartPole-v1", dict(descriptor="mean:0", descriptor_bounds=[(-2.4, 2.4)])),
        ("MountainCar-v0", dict(descriptor="final:0", max_steps=50)),
        ("MountainCarContinuous-v0", dict(descriptor="action:0", max_steps=50, activation="relu")),
        ("Acrobot-v1", dict(max_steps=30)),
        ("Taxi-v4", dict(max_steps=20)),
        ("Pendulum-v1", dict(descriptor=(lambda episode: [np.abs(episode.actions).mean(), episode.steps], [("torque", 0, 2), ("steps", 0, 200)]), g=9.0)),
    ]:
        played = illume.Episodes(name, hidden=[12], **given)
        genomes, seeds = rng.uniform(*played.init, (5, played.dim)).astype("f4"), np.arange(5, dtype="u8") + 2**63
        together = played(genomes, seeds)
        assert together[0].shape == (5,) and together[1].shape == (5, len(played.axes)) and np.isfinite(together[0]).all()
        few = illume.Episodes(name, hidden=[12], envs=2, **given)
        for row in (4, 1):
            for all_rows, alone in zip(together, few(genomes[row : row + 1], seeds[row : row + 1])):
                assert np.array_equal(all_rows[row : row + 1], alone), (name, row)
        if given.get("max_steps"):
            assert together[2].max() <= given["max_steps"]
    # An environment that fails takes its own row with it.
    import gymnasium

    class Brittle(gymnasium.Wrapper):
        def step(self, action):
            if abs(action[0]) > 1.9:
                raise RuntimeError("the joint broke")
            return super().step(action)

    def brittle():
        return Brittle(gymnasium.make("Pendulum-v1"))

    played = illume.Episodes(brittle, hidden=[], descriptor="mean:0", max_steps=20)
    fitness, descriptor, steps = played(np.array([[0, 0, 0, 0], [0, 0, 0, 50], [0, 0, 0, 1]], "f4"), np.array([1, 1, 1]))
    assert np.isnan(fitness).tolist() == np.isnan(descriptor[:, 0]).tolist() == [False, True, False] and steps.tolist() == [20, 0, 20]

    class Moody(gymnasium.Wrapper):
        def reset(self, *, seed=None, options=None):
            if seed == 7:
                raise RuntimeError("no reset today")
            return super().reset(seed=seed, options=options)

    def picky(episode):
        if episode.observations[0][0] < min_cosine:
            raise RuntimeError("that cannot be described")
        return [0.5]

    min_cosine = -2
    played = illume.Episodes(lambda: Moody(gymnasium.make("Pendulum-v1")), hidden=[], descriptor=(picky, [("x", 0, 1)]), max_steps=5)
    genomes, seeds = np.zeros((4, played.dim), "f4"), np.array([1, 7, 2, 3])
    fitness, descriptor, steps = played(genomes, seeds)
    assert np.isnan(fitness).tolist() == np.isnan(descriptor[:, 0]).tolist() == [False, True, False, False] and steps.tolist() == [5, 0, 5, 5]
    cosines = [gymnasium.make("Pendulum-v1").reset(seed=int(seed))[0][0] for seed in (1, 2, 3)]
    min_cosine = np.median(cosines)
    fitness, _, _ = played(genomes, seeds)
    assert np.isnan(fitness).sum() == 2 and np.isnan(fitness)[[0, 2, 3]].tolist() == [cosine < min_cosine for cosine in cosines]
    fitness, _, _ = played(genomes[:1], seeds[1:2])  # none is left
    assert np.isnan(fitness).all()
    # Policies of numpy alone are the compiled ones, within their last bits.
    genomes, seen = rng.normal(size=(4, 8 * 3 + 3 + 3 * 2 + 2)).astype("f4"), rng.normal(size=(3, 8)).astype("f4")
    for relu in (False, True):
        for linear in (False, True):
            ours, numpys = (kind([8, 3, 2], relu, linear, genomes).act([3, 0, 3], seen) for kind in (Policies, NumpyPolicies))
            assert ours.shape == (3, 2) and np.allclose(ours, numpys, atol=1e-5), (ours, numpys)
    for part, given in [
        ("names no numbers of 0 to 2", dict(descriptor="final:3")),
        ("expected \"final:I,J\"", dict(descriptor="speed")),
        ("has no finite bounds", dict(env="CartPole-v1", descriptor="final:1")),
        ("for 2 axes, got [(-1, 1)]", dict(descriptor="final:0,1", descriptor_bounds=[(-1, 1)])),
        ("for 1 axes, got 5", dict(descriptor="final:0", descriptor_bounds=5)),
        ("give the geoms", dict(descriptor="feet")),
        ('expected "tanh" or "relu"', dict(activation="gelu")),
        ("at least 1", dict(episodes=0)),
    ]:
        try:
            illume.Episodes(**{"env": "Pendulum-v1", **given})
            raise AssertionError(part)
        except ValueError as error:
            assert part in str(error), error
    # As task.command.
    command = [sys.executable, "-m", "illume.gym_worker", "Pendulum-v1", "--descriptor", "final:0,1", "--hidden", "12", "--frames", "json", "--max-steps", "30"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    child.stdin.write(json.dumps({"illume": 1, "dim": None, "bounds": None, "descriptor": None, "arguments": {}}) + "\n")
    child.stdin.flush()
    said = json.loads(child.stdout.readline())
    played = illume.Episodes("Pendulum-v1", descriptor="final:0,1", hidden=[12], max_steps=30)
    assert said["dim"] == played.dim and said["steps"] is True and said["deterministic"] is False and len(said["descriptor"]) == 2, said
    genomes = rng.uniform(*said["init"], (3, said["dim"])).astype("f4")
    child.stdin.write(json.dumps({"genomes": genomes.tolist(), "seeds": [1, 2, 3]}) + "\n")
    child.stdin.close()
    answer = json.loads(child.stdout.readline())
    fitness, descriptor, steps = played(genomes, np.array([1, 2, 3]))
    assert answer["fitness"] == fitness.tolist() and answer["descriptor"] == descriptor.tolist() and answer["steps"] == steps.tolist()
    assert child.wait(20) == 0
    for part, words in [('expected "final:I,J"', ["--descriptor", "x"]), ("hidden: expected units of layers", ["--hidden", "8,x"])]:
        bad = subprocess.run([sys.executable, "-m", "illume.gym_worker", "Pendulum-v1", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert bad.returncode == 2 and part in bad.stderr and "usage:" in bad.stderr and "Traceback" not in bad.stderr, bad
    # What goes wrong while it serves is no wrong use of the command.
    command = [sys.executable, "-m", "illume.gym_worker", "Pendulum-v1"]
    lost = subprocess.run(command, input="no JSON\n", capture_output=True, text=True)
    assert lost.returncode == 1 and "JSONDecodeError" in lost.stderr and "usage:" not in lost.stderr, lost
    print("gym: checked")


def walker(path):
    run = illume.load(path)
    noise = run.config["task"]["reset_noise_scale"]
    assert noise == 0.0, "elites start where Gymnasium starts without noise"
    played = illume.Episodes("Walker2d-v5", descriptor="feet", hidden=run.config["policy"]["hidden"], reset_noise_scale=0.0)
    archive = run.archive
    assert played.dim == archive.genomes.shape[1] and [axis.upper for axis in archive.axes] == [axis["upper"] for axis in played.axes]
    rows = np.argsort(-archive.fitness)[:24]
    fitness, descriptor, steps = played(archive.genomes[rows], np.zeros(len(rows), dtype="u8"))
    error = np.abs(fitness - archive.fitness[rows]) / np.maximum(1, np.abs(archive.fitness[rows]))
    print(f"{len(rows)} elites, episodes of {int(steps.min())} to {int(steps.max())} steps, fitness to {archive.fitness.max():.1f}, relative error at most {error.max():.1e}")
    # The same actions, bit for bit, and so the same physics; rewards are sums in another order.
    assert steps.max() == 1000 and error.max() < 1e-9, error
    assert np.array_equal(descriptor, archive.descriptors[rows])
    played._policies = NumpyPolicies
    other = played(archive.genomes[rows], np.zeros(len(rows), dtype="u8"))
    error = np.abs(other[0] - fitness) / np.maximum(1, np.abs(fitness))
    # numpy's sums differ in their last bits, which a gait that lasts amplifies.
    assert np.median(error[steps < 60]) < 1e-4 if (steps < 60).any() else True
    print("they agree; numpy's policies to", np.median(error))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
