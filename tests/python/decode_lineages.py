"""An independent twin of the noise: decodes lineages from the file alone, as docs/format.md says, and scores them.

Usage: decode_lineages.py FILE, an archive of deep_ga on `arm`. Numbers are made in double precision where illume uses
single precision, so genes agree within rounding.
"""

import sys

import h5py
import numpy as np

U32, U64 = np.uint64(0xFFFFFFFF), (1 << 64) - 1
LINEAGE = 7  # the purpose of lineages' streams


def philox(counter, key):
    """Philox4x32-10 (Salmon et al., SC 2011) of counters [4][n], words in uint64."""
    c0, c1, c2, c3 = (np.asarray(c, dtype=np.uint64) for c in counter)
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        high0, low0, high1, low1 = p0 >> np.uint64(32), p0 & U32, p1 >> np.uint64(32), p1 & U32
        c0, c1, c2, c3 = high1 ^ c1 ^ np.uint64(k0), low1, high0 ^ c3 ^ np.uint64(k1), low0
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3])


def mix(z):
    """The finalizer of SplitMix64."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & U64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & U64
    return z ^ (z >> 31)


def blocks(seed, stream_id, n):
    """Words [4 slots, groups, 16 lanes] that cover the positions 0..n of a lineage's stream."""
    key = mix((seed + LINEAGE * 0x9E3779B97F4A7C15) & U64)
    generation, index = stream_id >> 32, stream_id & 0xFFFFFFFF
    groups = -(-n // 64)
    values = [block | index << 40 | generation << 80 for block in range(16 * groups)]
    counter = [[value >> 32 * i & 0xFFFFFFFF for value in values] for i in range(4)]
    return philox(counter, (key & 0xFFFFFFFF, key >> 32)).reshape(4, groups, 16)


def uniforms(seed, stream_id, n):
    words = blocks(seed, stream_id, n).transpose(1, 0, 2).ravel()[:n]
    return (words >> np.uint64(8)).astype(np.float64) * 2.0**-24


def normals(seed, stream_id, n):
    words = blocks(seed, stream_id, n)
    pairs = []
    for a, b in [(words[0], words[1]), (words[2], words[3])]:
        u = (np.float32(0.5) + (a >> np.uint64(1)).astype(np.float32)).astype(np.float64) * 2.0**-31
        r = np.sqrt(np.maximum(-2.0 * np.log(u), 0.0))
        turn = b.astype(np.uint32).view(np.int32).astype(np.float64) * 2.0**-32
        pairs += [r * np.cos(2 * np.pi * turn), r * np.sin(2 * np.pi * turn)]
    return np.stack(pairs).transpose(1, 0, 2).ravel()[:n]


def arm(genes):
    """Fitness and descriptor of QDax's arm."""
    angles = np.cumsum(2 * np.pi * genes - np.pi)
    place = np.array([np.cos(angles).mean(), np.sin(angles).mean()]) / 2 + 0.5
    return -genes.std(), place


# The vectors that the authors of Philox publish (Random123, kat_vectors).
for value, key, expected in [
    ([0] * 4, (0, 0), "6627e8d5e169c58dbc57ac4c9b00dbd8"),
    ([0xFFFFFFFF] * 4, (0xFFFFFFFF,) * 2, "408f276d41c83b0ea20bc7c66d5451fd"),
]:
    got = "".join(f"{int(w[0]):08x}" for w in philox([[v] for v in value], key))
    assert got == expected, (got, expected)

with h5py.File(sys.argv[1]) as f:
    assert (f.attrs["task"], f["elites"].attrs["genome_form"]) == ("arm", "lineage")
    seed, dim = int(f.attrs["seed"]), int(f["elites"].attrs["genome_dim"])
    offsets, streams, scales = (f["elites"][f"lineage_{name}"][:] for name in ["offsets", "streams", "scales"])
    fitness, descriptor = f["elites/fitness"][:], f["elites/descriptor"][:]

longest = int(np.diff(offsets.astype("i8")).max())
assert longest >= 5, f"the longest lineage has {longest} steps: a longer run would prove more"
for i in range(len(fitness)):
    steps = slice(int(offsets[i]), int(offsets[i + 1]))
    ids, factors = streams[steps], scales[steps].astype(np.float64)
    genes = uniforms(seed, int(ids[0]), dim)
    for stream_id, factor in zip(ids[1:], factors[1:]):
        genes += factor * normals(seed, int(stream_id), dim)
    score, place = arm(np.clip(genes, 0.0, 1.0))
    assert abs(score - fitness[i]) < 1e-5, f"elite {i}: fitness {score}, the file has {fitness[i]}"
    assert np.abs(place - descriptor[i]).max() < 1e-5, f"elite {i}: at {place}, the file has {descriptor[i]}"
print(f"{len(fitness)} lineages of up to {longest} steps decoded")
