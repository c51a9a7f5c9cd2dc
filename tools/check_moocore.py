"""What moocore and pymoo make of drawn sets of points: hypervolume and each point's part of it, ranks, crowding distances, distances to another set.

Usage: check_moocore.py FILE. It needs `moocore pymoo` (written with moocore 0.3.2, pymoo 0.6.2). The file that the tests of numerics/src/fronts repeat is
recorded.txt there; run this again to see that other versions write the same. `check_moocore.py time OBJECTIVES POINTS...` prints moocore's milliseconds for the sets that
`cargo bench -p illume-numerics --bench fronts` takes.
"""

import sys
import time

import moocore
import numpy as np

from recorded import mix64


def drawn(case, n, m, levels=0):
    """Uniform numbers, `[n, m]`; in few levels, if there are some: the same bits in any language."""
    words = [mix64((case + 1) << 32 | i) >> 11 for i in range(n * m)]
    values = np.array(words) / 2.0**53
    return (np.floor(levels * values) / levels if levels else values).reshape(n, m)


def sphere(case, n, m):
    """Points of a quarter of the sphere's surface, seen from its outside: none dominates another."""
    points = drawn(case, n, m) + 1e-3
    return 1.0 - points / np.linalg.norm(points, axis=1, keepdims=True)


def timed(m, counts):
    for n in counts:
        points = sphere(n, n, m)
        seconds = []
        for _ in range(7):
            began = time.perf_counter()
            value = moocore.hypervolume(points, ref=[1.0] * m)
            seconds.append(time.perf_counter() - began)
        print(f"{m} objectives, {n} points: {1e3 * np.median(seconds):.3f} ms, {value!r}", flush=True)


def record(out):
    from pymoo.indicators.gd import GD
    from pymoo.indicators.gd_plus import GDPlus
    from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

    def write(name, *values):
        print(name, *(repr(float(x)) for value in values for x in np.ravel(value)), file=out)

    cases = [(2, 25, 0), (2, 30, 8), (3, 25, 0), (3, 30, 6), (4, 25, 0), (4, 20, 5), (5, 24, 0), (6, 20, 0), (6, 20, 4)]
    for case, (m, n, levels) in enumerate(cases):
        points, target = drawn(case, n, m, levels), drawn(100 + case, 12, m, levels)
        write("objectives", m)
        write("points", points)
        write("target", target)
        write("hypervolume", moocore.hypervolume(points, ref=[1.0] * m))
        write("contributions", moocore.hv_contributions(points, ref=[1.0] * m, ignore_dominated=False))
        ranks = np.empty(n)
        for rank, front in enumerate(NonDominatedSorting().do(points)):
            ranks[front] = rank
        write("ranks", ranks)
        write("crowding", calc_crowding_distance(points[ranks == 0], filter_out_duplicates=False))
        write("igd", moocore.igd(points, ref=target))
        write("igd_plus", moocore.igd_plus(points, ref=target))
        write("gd", GD(target)(points))
        write("gd_plus", GDPlus(target)(points))
        write("epsilon", moocore.epsilon_additive(points, ref=target))


if sys.argv[1] == "time":
    timed(int(sys.argv[2]), [int(n) for n in sys.argv[3:]])
else:
    with open(sys.argv[1], "w") as out:
        print("# moocore and pymoo: tools/check_moocore.py; all are minimized, and the hypervolume's reference is 1", file=out)
        record(out)
