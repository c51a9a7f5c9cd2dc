"""Records where the ant of the authors' maze goes under pushes that `envs/src/testing.rs` knows as well.

    python tools/record_ant_maze.py SERENE/environments/assets/ant_maze/xmls/ant_obstaclesbig2.xml > envs/tests/data/ant_maze.csv

SERENE is a checkout of https://github.com/GPaolo/SERENE (recorded from 83bc38a). Needs mujoco of the version that ours is built with and numpy: `ILLUME_PYTHON` has both. What today's MuJoCo
refuses in the authors' file is left out: its textures, of which one is a picture, and `coordinate="local"`, which is what there is.
"""

import re
import sys

import mujoco
import numpy as np
from serene import push

# x, y, and velocity along both of some first states: the authors' own, and in front of each wall.
STARTS = [(-25, -25, 0, 0), (-16.5, 20, 3, 0), (-13.5, 5, -3, 0), (-3, -16.5, 0, 3), (8.5, -20, 3, 0), (38.5, 5, 3, 0), (0, 38.5, 0, 3), (-28.5, 0, -3, 0), (12, -28.5, 0, -3)]
STEPS, FRAMES = 40, 5

with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
text = re.sub(r"<asset>.*?</asset>", "", text, flags=re.S)
text = re.sub(r' (material="\w+"|coordinate="local")', "", text)
model = mujoco.MjModel.from_xml_string(text)
print("start,step," + ",".join(f"q{i}" for i in range(model.nq)))
for k, (x, y, along, across) in enumerate(STARTS):
    data = mujoco.MjData(model)
    mujoco.mj_resetData(model, data)
    data.qpos[:2] = x, y
    data.qvel[:2] = along, across
    mujoco.mj_forward(model, data)
    for step in range(STEPS):
        data.ctrl[:] = push(8, k, step, held=5)
        for _ in range(FRAMES):
            mujoco.mj_step(model, data)
        if step % 10 == 9:
            print(f"{k},{step + 1}," + ",".join(f"{q:.12g}" for q in data.qpos))
