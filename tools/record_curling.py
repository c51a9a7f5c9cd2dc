"""Records where the ball of the authors' curling goes under pushes that `envs/src/curling.rs` knows as well.

    python tools/record_curling.py SERENE/environments/assets > envs/tests/data/curling.csv

SERENE is a checkout of https://github.com/GPaolo/SERENE (recorded from 83bc38a). Needs numpy and Box2D (2.3.10): what the program asks of gym and pygame is stood in for, and `np.float`, which numpy has
no more.
"""

import math
import sys
import types

import numpy as np

np.float = float


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
stand_in("pygame")
sys.path.insert(0, sys.argv[1])
from gym_billiard.envs.curling import Curling  # noqa: E402


def word(x):
    return x & 0xFFFFFFFF


def push(k, step):
    """As in the test, to the bit."""
    values = []
    for joint in range(2):
        h = word((step // 25 + 1) * 2_654_435_761 + k * 2_246_822_519 + joint * 3_266_489_917)
        values.append(np.float32(np.float32((h ^ (h >> 15)) % 2001) / np.float32(1000)) - np.float32(1))
    return np.array(values, dtype=np.float64)


print("push,step,x,y,angle_0,angle_1,speed_0,speed_1,reward")
for k in range(60):
    env = Curling(max_steps=500)
    env.reset()
    for step in range(500):
        state, reward, done, _ = env.step(push(k, step))
        if step + 1 in (25, 50, 100, 200, 500):
            assert all(map(math.isfinite, state)) and done == (step == 499)
            print(f"{k},{step + 1}," + ",".join(f"{x:.7g}" for x in (*state, reward)))
