"""Computes the statistics of src/analysis/statistics with numpy, scipy, statsmodels and rliable, from the values of one file.

Usage: check_statistics.py src/analysis/statistics/values.csv FILE. It needs `numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0 rliable==1.2.0 arch==7.2.0
"pandas<3"` (arch, which draws rliable's resamples, fails with pandas 3) and six minutes. The file that the tests of `statistics` repeat is
src/analysis/statistics/recorded.csv; run this again to see that other versions write the same.

Each line is a number: what it is, the set of values, the group or the pair. Every pair of a set's groups is compared, `holm` is over the pairs of the set and
`holm_all` over those of all sets. p-values count all divisions for at most 400 pairs of values: by mannwhitneyu if all values differ, by
permutation_test of |U - n m / 2| else.
"""

import csv
import itertools
import sys

import numpy as np
from rliable import library, metrics
from scipy import stats
from statsmodels.stats.multitest import multipletests

RESAMPLES = 50_000


def p_value(a, b):
    if len(a) * len(b) > 400:
        return stats.mannwhitneyu(a, b, method="asymptotic").pvalue
    if len(set(a) | set(b)) == len(a) + len(b):
        return stats.mannwhitneyu(a, b, method="exact").pvalue

    def distance(a, b, axis):
        return np.abs(stats.mannwhitneyu(a, b, axis=axis, method="asymptotic").statistic - a.shape[axis] * b.shape[axis] / 2)

    return stats.permutation_test((a, b), distance, n_resamples=np.inf, alternative="greater", vectorized=True).pvalue


def interval(values, function, seed):
    estimates = library.get_interval_estimates({"": values}, function, reps=RESAMPLES, random_state=np.random.RandomState(seed))
    return estimates[1][""][:, 0]


sets = {}
with open(sys.argv[1]) as file:
    for row in csv.DictReader(file):
        tasks = sets.setdefault(row["set"], {}).setdefault(row["group"], {})
        tasks.setdefault(row["task"], []).append(float(row["value"]))

lines, tests = [], []
for name, groups in sets.items():
    # [runs, tasks], as rliable has them.
    groups = {group: np.array(list(tasks.values())).T for group, tasks in groups.items()}
    for group, scores in groups.items():
        low, high = interval(scores, lambda x: np.array([metrics.aggregate_iqm(x)]), 1)
        lower, median, upper = np.quantile(scores, [0.25, 0.5, 0.75])
        numbers = dict(n=scores.size, median=median, lower=lower, upper=upper, mean=scores.mean(), iqm=metrics.aggregate_iqm(scores), iqm_low=low, iqm_high=high)
        lines += [(what, name, group, number) for what, number in numbers.items()]
    pairs = list(itertools.combinations(groups, 2))
    p = [p_value(groups[a][:, 0], groups[b][:, 0]) for a, b in pairs]
    holm = multipletests(p, method="holm")[1] if pairs else []
    for (a, b), p, corrected in zip(pairs, p, holm):
        a, b, pair = groups[a], groups[b], f"{b} {a}"
        low, high = interval((b, a), lambda x, y: np.array([metrics.probability_of_improvement(x, y)]), 2)
        numbers = dict(improvement=metrics.probability_of_improvement(b, a), improvement_low=low, improvement_high=high, p=p, holm=corrected)
        lines += [(what, name, pair, number) for what, number in numbers.items()]
        tests.append((name, pair, p))
for (name, pair, _), corrected in zip(tests, multipletests([p for *_, p in tests], method="holm")[1]):
    lines.append(("holm_all", name, pair, corrected))

with open(sys.argv[2], "w") as out:
    print("what,set,of,number", file=out)
    for what, name, of, number in lines:
        print(what, name, of, repr(float(number)), sep=",", file=out)
