"""Records where the authors' redundant arm goes under pushes that `envs/src/redundant_arm.rs` knows as well.

    python tools/record_redundant_arm.py SERENE/environments/assets > envs/tests/data/redundant_arm.csv

SERENE is a checkout of https://github.com/GPaolo/SERENE (recorded from 83bc38a). Needs numpy alone: what the program asks of gym and pygame, for its pictures, is stood in for.
"""

import math
import sys
import types

import numpy as np


def stand_in(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module
    return module


class Box:
    def __init__(self, **_):
        pass


spaces = stand_in("gym.spaces", Box=Box)
seeding = stand_in("gym.utils.seeding", np_random=lambda seed: (None, seed))
utils = stand_in("gym.utils", seeding=seeding)
registration = stand_in("gym.envs.registration", register=lambda **_: None)
stand_in("gym.envs", registration=registration)
stand_in("gym", Env=object, error=None, spaces=spaces, utils=utils)
stand_in("pygame.locals")
stand_in("pygame", locals=sys.modules["pygame.locals"])
sys.path.insert(0, sys.argv[1])
stand_in("gym_redarm.envs.graphics")
import gym_redarm.envs.arm_env as arm_env  # noqa: E402


def word(x):
    return x & 0xFFFFFFFF


def push(k, step):
    """As in the test, to the bit."""
    values = []
    for joint in range(20):
        h = word((step // 25 + 1) * 2_654_435_761 + k * 2_246_822_519 + joint * 3_266_489_917)
        values.append(np.float32(np.float32((h ^ (h >> 15)) % 2001) / np.float32(1000)) - np.float32(1))
    return np.array(values, dtype=np.float64)


print("push,steps,x,y,angle_7")
for k in range(60):
    env = arm_env.ArmEnv()
    env.reset()
    for step in range(100):
        state, _, done, info = env.step(push(k, step))
        if done:
            break
    x, y = info["End effector pose"]
    assert math.isfinite(x)
    print(f"{k},{step + 1},{x:.9g},{y:.9g},{state[7]:.9g}")
