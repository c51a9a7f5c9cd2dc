"""What the scripts share that record updates of evolution strategies: noise that our tests can make again, a function, and lines of numbers."""

import numpy as np

DIM, GENERATIONS, SIGMA = 5, 30, 0.5


def mix64(z):
    mask = (1 << 64) - 1
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
    return z ^ (z >> 31)


def noise(generation, directions, dim=DIM):
    """Uniform numbers of mean 0 and variance 1 in place of normal ones, `[directions, dim]`: the same bits in any language."""

    def number(direction, gene):
        return (mix64((generation + 1) << 32 | direction << 16 | gene) >> 11) / 2.0**53 - 0.5

    return np.array([[12.0**0.5 * number(d, g) for g in range(dim)] for d in range(directions)])


def fitness(x):
    """Of genomes `[members, dim]`: an ellipsoid whose optimum is at 1."""
    return -np.sum((1.0 + np.arange(x.shape[-1])) * (x - 1.0) ** 2, axis=-1)


def say(name, *values):
    print(name, *(repr(float(x)) for value in values for x in np.ravel(value)))


def order(values):
    """Numbers of members, best first."""
    return [int(i) for i in np.argsort(-values, kind="stable")]
