#!/usr/bin/env python3
"""Compares strategies over seeds: medians, ranges, exact two-sided rank-sum tests, Holm's correction.

    tools/rank_tests.py [--column qd_score] [--evaluations N] [--seconds S] RUNS/STRATEGY-SEED ...

Each run is a run directory; what stands before the last '-' of its name is its group. A run counts with the last row of its
history.csv, or with the last that is within N evaluations or S seconds. The test is Mann and Whitney's U with its exact
distribution over all divisions of the pooled values (ties by mid-ranks); with n and m runs the smallest p-value that it can
give is 2 / C(n + m, n): 0.10 for 3 against 3, 0.008 for 5 against 5. Needs nothing but Python.
"""

import argparse
import csv
import itertools
import os
import statistics
import sys


def last_value(run, column, evaluations, seconds):
    """The column's last value within the limits."""
    with open(os.path.join(run, "history.csv")) as file:
        rows = list(csv.DictReader(file))
    if not rows or column not in rows[0]:
        sys.exit(f"rank_tests: {run}/history.csv has no column '{column}'")
    within = [
        r
        for r in rows
        if (evaluations is None or float(r["evaluations"]) <= evaluations)
        and (seconds is None or float(r["wall_seconds"]) <= seconds)
    ]
    if not within:
        sys.exit(f"rank_tests: {run}/history.csv has no row within these limits")
    return float(within[-1][column])


def rank_sum(a, b):
    """(probability that a value of a is above one of b, exact two-sided p-value)."""
    pooled = a + b
    order = sorted(pooled)
    rank = {v: order.index(v) + (order.count(v) + 1) / 2 for v in pooled}
    ranks = [rank[v] for v in pooled]
    middle = len(a) * (len(pooled) + 1) / 2
    seen = abs(sum(ranks[: len(a)]) - middle)
    sums = [abs(sum(c) - middle) for c in itertools.combinations(ranks, len(a))]
    p = sum(s >= seen - 1e-9 for s in sums) / len(sums)
    above = sum((x > y) + 0.5 * (x == y) for x in a for y in b) / (len(a) * len(b))
    return above, p


def holm(values):
    """Holm's adjusted p-values, in the given order."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, largest = [0.0] * len(values), 0.0
    for k, i in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - k) * values[i]))
        adjusted[i] = largest
    return adjusted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--column", default="qd_score")
    parser.add_argument("--evaluations", type=float)
    parser.add_argument("--seconds", type=float)
    options = parser.parse_args()
    groups = {}
    for run in options.runs:
        name = os.path.basename(os.path.normpath(run)).rpartition("-")[0]
        value = last_value(run, options.column, options.evaluations, options.seconds)
        groups.setdefault(name, []).append(value)
    for name, values in groups.items():
        median = statistics.median(values)
        print(f"{name:14} n {len(values):2}  {options.column} {median:.6g} [{min(values):.6g}, {max(values):.6g}]")
    pairs = list(itertools.combinations(groups, 2))
    tests = [rank_sum(groups[a], groups[b]) for a, b in pairs]
    for (a, b), (above, p), corrected in zip(pairs, tests, holm([p for _, p in tests])):
        print(f"{a} above {b}: probability {above:.2f}, p {p:.4f}, Holm over {len(pairs)} {corrected:.4f}")


if __name__ == "__main__":
    main()
