"""Records what pyribs does: archives with thresholds, and the emitters of CMA-ME and CMA-MAE, for the tests that repeat it.

Usage: check_pyribs.py thresholds > archives/src/soft/recorded.csv

It needs `ribs==0.12.0`. Run it again to see that another version says the same. `thresholds` is an archive of 6 cells that is handed batches of random fitness and
cells: status 0 for not added, 1 for improved, 2 for new; the value by which candidates are ranked; and the cell's threshold after the batch, empty where
the cell is.
"""

import sys

import numpy as np
from ribs.archives import GridArchive

CELLS = 6
# Learning rate and least threshold; None for MAP-Elites.
SETTINGS = [(1.0, None), (0.1, 0.0), (0.5, -1.0), (0.0, 1.0)]


def thresholds():
    print("learning_rate,threshold_min,batch,cell,fitness,status,value,threshold")
    for rate, least in SETTINGS:
        rng = np.random.default_rng(1)
        archive = GridArchive(solution_dim=1, dims=[CELLS], ranges=[(0.0, CELLS)], learning_rate=rate,
                              threshold_min=-np.inf if least is None else least, dtype=np.float64)
        for batch in range(6):
            cell = rng.integers(CELLS, size=10)
            # Halves, so that ties are among them.
            fitness = np.round(4.0 * rng.normal(size=10)) / 2.0
            added = archive.add(np.zeros((10, 1)), fitness, cell[:, None] + 0.5)
            occupied, elites = archive.retrieve(np.arange(CELLS)[:, None] + 0.5)
            for c, f, status, value in zip(cell, fitness, added["status"], added["value"]):
                after = repr(float(elites["threshold"][c])) if occupied[c] else ""
                least_word = "" if least is None else least
                print(rate, least_word, batch, c, float(f), status, float(value), after, sep=",")


if __name__ == "__main__":
    {"thresholds": thresholds}[sys.argv[1]]()
