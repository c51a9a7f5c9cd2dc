"""The task `arm` as a program of the user's own, bit for bit: the formulas of envs/src/arm.rs in numpy's single precision.

Frames: the argument json or binary. A fused multiply-add is rounded to odd in double precision and then to single, which is
exact (Boldo and Melquiond 2008, "Emulation of FMA and correctly rounded sums").
"""
import json
import struct
import sys

import numpy as np

F = np.float32
ROUND = F(12_582_912.0)


def fma(a, b, c):
    """a * b + c, rounded once."""
    product = np.float64(a) * np.float64(b)  # exact
    c = np.float64(c)
    total = product + c
    virtual = total - product
    error = (product - (total - virtual)) + (c - virtual)
    bits = np.asarray(total).view(np.int64)
    even = (bits & 1) == 0
    away = np.where((error > 0) == (total > 0), 1, -1)
    odd = np.where((error != 0) & even, bits + away, bits)
    return odd.view(np.float64).astype(F)


def quarter_sine(x):
    q = x * x
    p = np.full_like(x, F(-70.993_43))
    for coefficient in (81.340_77, -41.337_143, 6.283_164):
        p = fma(p, q, F(coefficient))
    return p * x


def sin_cos_turns(x):
    a = np.abs(x)
    b = F(0.5) - a
    return np.copysign(quarter_sine(np.where(a < b, a, b)), x), quarter_sine(F(0.25) - a)


def arm(genomes):
    """[rows, joints] -> fitness [rows], descriptor [rows, 2]."""
    rows, joints = genomes.shape
    turn, total, x, y = (np.zeros(rows, F) for _ in range(4))
    for genes in genomes.T:
        total = total + genes
        turn = turn + (genes - F(0.5))
        turn = turn - ((turn + ROUND) - ROUND)
        sine, cosine = sin_cos_turns(turn)
        x, y = x + cosine, y + sine
    count = F(1) / F(joints)
    variance = np.zeros(rows, F)
    for genes in genomes.T:
        d = genes - total * count
        variance = fma(d, d, variance)
    place = [np.clip(fma(v * count, F(0.5), F(0.5)), F(0), F(1)) for v in (x, y)]
    return -np.sqrt(variance * count), np.stack(place, axis=1)


def main():
    frames = sys.argv[1]
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    hello = json.loads(stdin.readline())
    joints = hello["dim"] or 20
    axes = [{"name": name, "lower": 0, "upper": 1} for name in "xy"]
    greeting = {"illume": 1, "dim": joints, "bounds": [0, 1], "descriptor": axes, "qd_offset": 0.5, "deterministic": True, "frames": frames, "batch": 128}
    stdout.write(json.dumps(greeting).encode() + b"\n")
    stdout.flush()
    while True:
        if frames == "json":
            line = stdin.readline()
            if not line:
                return
            fitness, descriptor = arm(np.array(json.loads(line)["genomes"], F))
            answer = json.dumps({"fitness": fitness.astype(float).tolist(), "descriptor": descriptor.astype(float).tolist()}).encode() + b"\n"
        else:
            head = stdin.read(12)
            if len(head) < 12:
                return
            length, rows, _ = struct.unpack("<III", head)
            body = stdin.read(length - 8)
            genomes = np.frombuffer(body, "<f4", offset=8 * rows).reshape(rows, -1)
            fitness, descriptor = arm(genomes)
            answer = np.column_stack([fitness, descriptor]).astype("<f8").tobytes()
            answer = struct.pack("<I", len(answer)) + answer
        stdout.write(answer)
        stdout.flush()


main()
