"""What the scripts share that record the environments of SERENE's authors: stand-ins for what these ask of gym and pygame, and pushes that our tests can make again. Import this before them."""

import numpy as np
from stand_ins import stand_in


class Box:
    def __init__(self, **_):
        pass


spaces = stand_in("gym.spaces", Box=Box)
seeding = stand_in("gym.utils.seeding", np_random=lambda seed: (None, seed))
utils = stand_in("gym.utils", seeding=seeding)
registration = stand_in("gym.envs.registration", register=lambda **_: None)
stand_in("gym.envs", registration=registration)
stand_in("gym", Env=object, error=None, spaces=spaces, utils=utils)
stand_in("pygame", locals=stand_in("pygame.locals"))


def word(x):
    return x & 0xFFFFFFFF


def push(joints, k, step, held):
    """The k-th series of pushes in this step, `[joints]`, of which each is held so many steps: to the bit that of `envs/src/testing.rs`."""
    values = []
    for joint in range(joints):
        h = word((step // held + 1) * 2_654_435_761 + k * 2_246_822_519 + joint * 3_266_489_917)
        values.append(np.float32(np.float32((h ^ (h >> 15)) % 2001) / np.float32(1000)) - np.float32(1))
    return np.array(values, dtype=np.float64)
