"""Records where the authors' redundant arm goes under pushes that `envs/src/testing.rs` knows as well.

    python tools/record_redundant_arm.py SERENE/environments/assets > envs/tests/data/redundant_arm.csv

SERENE is a checkout of https://github.com/GPaolo/SERENE (recorded from 83bc38a). Needs numpy alone: what the program asks of gym and pygame, for its pictures, is stood in for.
"""

import math
import sys

from serene import push
from stand_ins import stand_in

sys.path.insert(0, sys.argv[1])
stand_in("gym_redarm.envs.graphics")
import gym_redarm.envs.arm_env as arm_env  # noqa: E402

print("push,steps,x,y,angle_7")
for k in range(60):
    env = arm_env.ArmEnv()
    env.reset()
    for step in range(100):
        state, _, done, info = env.step(push(20, k, step, held=25))
        if done:
            break
    x, y = info["End effector pose"]
    assert math.isfinite(x)
    print(f"{k},{step + 1},{x:.9g},{y:.9g},{state[7]:.9g}")
