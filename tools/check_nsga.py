"""What DEAP's operators make of given random numbers, and whom pymoo's NSGA-II and NSGA-III let survive.

Usage: check_nsga.py FILE. It needs `deap pymoo` (written with DEAP 1.4.4, pymoo 0.6.2). The file that the tests of `nsga` repeat is strategies/tests/data/nsga.txt; run this again to see that other
versions write the same. Objectives are minimized in it.
"""

import random
import sys

import numpy as np

from recorded import mix64


def uniforms(case, n):
    return [(mix64((case + 1) << 32 | i) >> 11) / 2.0**53 for i in range(n)]


def operators(write):
    from deap.tools import cxSimulatedBinaryBounded, mutPolynomialBounded

    for case in range(40):
        a, b, u, *_ = uniforms(case, 3)
        eta, low, high = [2.0, 15.0, 20.0, 30.0][case % 4], [0.0, -1.0][case % 2], [1.0, 2.5][case // 2 % 2]
        a, b = sorted(low + (high - low) * x for x in (a, b))
        # A gene takes part, the spread's draw, and the children's values are not exchanged.
        given = iter([0.0, u, 0.9])
        random.random = lambda: next(given)
        first, second = cxSimulatedBinaryBounded([a], [b], eta, low, high)
        write("crossover", a, b, u, eta, low, high, first[0], second[0])
        given = iter([0.0, u])
        write("mutation", a, u, eta, low, high, mutPolynomialBounded([a], eta, low, high, 1.0)[0][0])


def crowding(write):
    from pymoo.core.population import Population
    from pymoo.core.problem import Problem
    from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

    for case, (n, m, keep) in enumerate([(40, 2, 20), (60, 2, 15), (40, 3, 20), (50, 3, 30), (30, 5, 9)]):
        points = np.array(uniforms(100 + case, n * m)).reshape(n, m)
        population = Population.new(F=points, index=np.arange(n))
        for i, individual in enumerate(population):
            individual.set("index", i)
        chosen = [RankAndCrowding().do(Problem(n_var=1, n_obj=m), population, n_survive=keep) for _ in range(9)]
        survivors = chosen[0]
        # Of equally crowded ones pymoo draws who goes: there must be none where the front is cut.
        assert all({i.get("index") for i in other} == {i.get("index") for i in survivors} for other in chosen), case
        write("objectives", m)
        write("points", *points.ravel())
        write("crowding", *sorted(i.get("index") for i in survivors))


def niching(write):
    from pymoo.algorithms.moo.nsga3 import HyperplaneNormalization, associate_to_niches
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting
    from pymoo.util.ref_dirs import get_reference_directions

    for case, (m, divisions) in enumerate([(2, 12), (3, 6)]):
        directions = get_reference_directions("das-dennis", m, n_partitions=divisions)
        normalization = HyperplaneNormalization(m)
        write("begin", m, divisions)
        for generation in range(6):
            draws = np.array(uniforms(200 + 10 * case + generation, 40 * m)).reshape(40, m)
            # Nearer and nearer to a sphere of unequal extents.
            points = (draws / np.linalg.norm(draws, axis=1, keepdims=True)) * (1 + draws[:, :1] / (1 + generation))
            points = points * np.arange(1, m + 1) ** 2 + 0.5
            if generation == 3:
                # No hyperplane: all of an objective are equal.
                points[:, 0] = 0.75
            fronts = NonDominatedSorting().do(points)
            normalization.update(points, nds=fronts[0])
            niches, distances, _ = associate_to_niches(points, directions, normalization.ideal_point, normalization.nadir_point)
            # pymoo orders directions otherwise: as weights.
            write("generation", *points.ravel())
            write("ideal", *normalization.ideal_point)
            write("nadir", *normalization.nadir_point)
            write("directions", *directions[niches].ravel())
            write("distances", *distances)


with open(sys.argv[1], "w") as out:
    print("# DEAP and pymoo: tools/check_nsga.py; objectives are minimized", file=out)

    def write(name, *values):
        print(name, *(repr(float(x)) for x in values), file=out)

    crowding(write)
    niching(write)
    operators(write)
