"""Plays random actions in a Gymnasium environment and writes all that happens to standard output, for mujoco_gymnasium.rs.

    gymnasium_check.py ENVIRONMENT KEYWORDS FEET SEED STEPS

KEYWORDS are the environment's as JSON; FEET are geoms, comma-separated. Output is 64-bit little-endian floats: the numbers of
positions, velocities, observations, actions; then the first state and observation; then for each step the action in [-1, 1], the
observation, the reward, the reward without its forward and contact terms, whether it terminated, positions, velocities and
whether each foot touches the floor. Of an environment of MO-Gymnasium (`mo-...`) the reward is replaced by as many numbers as it has.
"""

import json
import sys

import gymnasium
import mujoco
import numpy as np


def touches(model, data, foot):
    """Whether a geom touches the floor, found by MuJoCo's names."""
    for contact in data.contact[: data.ncon]:
        pair = {model.geom(contact.geom1).name, model.geom(contact.geom2).name}
        if pair == {"floor", foot}:
            return True
    return False


def main(environment, keywords, feet, seed, steps):
    if environment.startswith("mo-"):
        import mo_gymnasium  # noqa: F401
    env = gymnasium.make(environment, **json.loads(keywords)).unwrapped
    model, data = env.model, env.data
    feet = [foot for foot in feet.split(",") if foot]
    rng = np.random.default_rng(int(seed))
    low, high = model.actuator_ctrlrange.T

    def put(*values):
        sys.stdout.buffer.write(np.concatenate([np.ravel(v) for v in values]).astype("<f8").tobytes())

    observation, _ = env.reset(seed=int(seed))
    put([model.nq, model.nv, observation.size, model.nu], data.qpos, data.qvel, observation)
    for _ in range(int(steps)):
        action = rng.uniform(-1.0, 1.0, model.nu).astype(np.float32).astype(np.float64)
        control = (low + high) / 2.0 + (high - low) / 2.0 * action
        observation, reward, terminated, _, info = env.step(control)
        still = info.get("reward_survive", 0.0) + info["reward_ctrl"]
        contacts = [touches(model, data, foot) for foot in feet]
        put(action, observation, reward, [still, terminated], data.qpos, data.qvel, contacts)


main(*sys.argv[1:])
