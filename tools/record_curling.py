"""Records where the ball of the authors' curling goes under pushes that `envs/src/testing.rs` knows as well.

    python tools/record_curling.py SERENE/environments/assets > envs/tests/data/curling.csv

SERENE is a checkout of https://github.com/GPaolo/SERENE (recorded from 83bc38a). Needs numpy and Box2D (2.3.10): what the program asks of gym and pygame is stood in for, and `np.float`, which numpy has
no more.
"""

import math
import sys

import numpy as np
from serene import push

np.float = float

sys.path.insert(0, sys.argv[1])
from gym_billiard.envs.curling import Curling  # noqa: E402

print("push,step,x,y,angle_0,angle_1,speed_0,speed_1,reward")
for k in range(60):
    env = Curling(max_steps=500)
    env.reset()
    for step in range(500):
        state, reward, done, _ = env.step(push(2, k, step, held=25))
        if step + 1 in (25, 50, 100, 200, 500):
            assert all(map(math.isfinite, state)) and done == (step == 499)
            print(f"{k},{step + 1}," + ",".join(f"{x:.7g}" for x in (*state, reward)))
