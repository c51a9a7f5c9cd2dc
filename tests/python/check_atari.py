"""Plays a game in ale-py's own ALEInterface, for envs/tests/atari_ale_py.rs to compare with.

Usage: check_atari.py frames ROM                      actions (ALE's numbers, one a frame) as lines on standard input
       check_atari.py episode ROM NOOPS FIRE FULL     actions (the network's numbers, one a step) the same way; FIRE and FULL 0 or 1

Standard output gets a record for each frame or step, little-endian. Frames: reward i32, lives i32, over i32, checksum of the
screen u32, of its colors u32, memory 128 x u8. Steps: reward i32, lives i32, over i32, the preprocessed frame 7056 x u8.
"""

import struct
import sys
import zlib

import numpy as np
from ale_py import ALEInterface, LoggerMode


def game(rom):
    ALEInterface.setLoggerMode(LoggerMode.Error)
    ale = ALEInterface()
    ale.setInt("random_seed", 0)
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(rom)
    ale.reset_game()
    return ale


def frames(ale, actions):
    legal = {a.value: a for a in ale.getLegalActionSet()}
    for action in actions:
        reward = 0 if ale.game_over() else ale.act(legal[action])
        screen, rgb = np.ascontiguousarray(ale.getScreen()), np.ascontiguousarray(ale.getScreenRGB())
        sums = zlib.crc32(screen.tobytes()), zlib.crc32(rgb.tobytes())
        yield struct.pack("<iiiII", int(reward), ale.lives(), ale.game_over(), *sums) + ale.getRAM().tobytes()


def luminance(ale):
    return ale.getScreenRGB().astype("f8") @ [0.299, 0.587, 0.114]


def resized(image, side=84):
    """Bilinear, corners on corners: rows first, by plain interpolation."""
    height, width = image.shape
    x, y = np.linspace(0, width - 1, side), np.linspace(0, height - 1, side)
    columns = np.stack([np.interp(x, np.arange(width), row) for row in image])
    return np.stack([np.interp(y, np.arange(height), column) for column in columns.T], axis=1)


class Episode:
    """The rules of the Deep GA program, written anew."""

    def __init__(self, ale, noops, fire, full):
        self.ale, self.greys = ale, [luminance(ale)] * 2
        minimal = ale.getMinimalActionSet()
        legal = ale.getLegalActionSet()
        self.actions = legal if full else minimal
        for _ in range(noops):
            self.play(minimal[0], 1)
            self.again()
        if fire and len(minimal) > 2 and minimal[1].value == 1:
            for action in minimal[1:3]:
                self.play(action, 4)
                self.again()

    def again(self):
        if self.ale.game_over():
            self.ale.reset_game()
            self.greys = [luminance(self.ale)] * 2

    def play(self, action, count):
        reward = 0
        for _ in range(count):
            reward += self.ale.act(action)
            self.greys = [self.greys[1], luminance(self.ale)]
            if self.ale.game_over():
                break
        return reward

    def frame(self):
        return np.floor(resized(np.maximum(*self.greys)) + 0.5).astype("u1").tobytes()

    def record(self, reward):
        return struct.pack("<iii", int(reward), self.ale.lives(), self.ale.game_over()) + self.frame()

    def records(self, actions):
        yield self.record(0)
        for action in actions:
            if self.ale.game_over():
                return
            yield self.record(self.play(self.actions[action], 4))


mode, rom, *rest = sys.argv[1:]
actions = [int(line) for line in sys.stdin]
if mode == "frames":
    records = frames(game(rom), actions)
else:
    noops, fire, full = map(int, rest)
    records = Episode(game(rom), noops, fire, full).records(actions)
for record in records:
    sys.stdout.buffer.write(record)
