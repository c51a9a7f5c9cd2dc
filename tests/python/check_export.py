"""Checks the exports of an archive against the archive itself, lineages decoded by the code of docs/format.md.

Usage: check_export.py format.md ARCHIVE.h5 ROW EXPORT.csv EXPORT.npz EXPORT.h5; ROW is -1 for all elites."""

import re
import sys
import tomllib

import h5py
import numpy as np
import pandas

page, archive, row, csv, npz, h5 = sys.argv[1:]
row = int(row)
documented = {}
blocks = re.findall(r"```python\n(.*?)```", open(page).read(), re.DOTALL)
exec(next(block for block in blocks if "def decode" in block), documented)

SCALARS = ["cell", "fitness", "descriptor", "generation", "operator", "parents", "seed"]


def genes(f):
    """The genes of every elite, as the page says to get them."""
    elites = f["elites"]
    if elites.attrs["genome_form"] == "dense":
        return elites["genome"][:]
    assert f.attrs["task"] == "arm", "only for arm is the first genome drawn here"
    offsets, streams, scales = (elites["lineage_" + name][:] for name in ("offsets", "streams", "scales"))
    dim = int(elites.attrs["genome_dim"])
    rows = [
        documented["decode"](f.attrs["seed"], dim, streams[a:b], scales[a:b], documented["uniforms"])
        for a, b in zip(offsets[:-1], offsets[1:])
    ]
    return np.clip(np.stack(rows), 0, 1)


def equal(what, got, expected):
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype, f"{what}: {got.dtype}, expected {expected.dtype}"
    assert np.array_equal(got, expected, equal_nan=got.dtype.kind == "f"), f"{what} differs"


with h5py.File(archive) as f:
    chosen = slice(None) if row < 0 else slice(row, row + 1)
    expected = {name: f["elites"][name][chosen] for name in SCALARS}
    expected["genome"] = genes(f)[chosen]
    operators, names = list(f["elites/operator"].attrs["operators"]), list(f["cells"].attrs["names"])
    attributes = {name: f.attrs[name] for name in f.attrs}
    cells = {name: f["cells"].attrs[name] for name in f["cells"].attrs}
    history = {name: f["history"][name][:] for name in f["history"].attrs["columns"]}

# .npz: without pickles, every column and the genomes.
with np.load(npz, allow_pickle=False) as arrays:
    assert set(arrays) == {*SCALARS, "genome", "axes", "operators"}, set(arrays)
    for name, values in expected.items():
        equal(f".npz {name}", arrays[name], values)
    assert list(arrays["axes"]) == names and list(arrays["operators"]) == operators

# .csv: pandas reads back the same numbers.
table = pandas.read_csv(csv, float_precision="round_trip", dtype={"seed": np.uint64})
columns = ["cell", "fitness", *names, "generation", "operator", "parent_1", "parent_2", "seed"]
assert list(table.columns) == columns, list(table.columns)
for name in ["cell", "fitness", "generation", "seed"]:
    equal(f".csv {name}", table[name].to_numpy(), expected[name])
equal(".csv descriptor", table[names].to_numpy(dtype="f8"), expected["descriptor"])
equal(".csv parents", table[["parent_1", "parent_2"]].to_numpy(), expected["parents"])
assert list(table["operator"]) == [operators[i] for i in expected["operator"]]

# .h5: an archive like the other, but for its genomes.
with h5py.File(h5) as f:
    assert f["elites"].attrs["genome_form"] == "dense"
    for name, values in expected.items():
        equal(f".h5 {name}", f["elites"][name][:], values)
    assert list(f["elites/operator"].attrs["operators"]) == operators
    for name, value in attributes.items():
        assert np.array_equal(f.attrs[name], value), f"attribute {name}"
    for name, value in cells.items():
        assert np.array_equal(f["cells"].attrs[name], value), f"attribute {name} of /cells"
    for name, values in history.items():
        equal(f"history {name}", f["history"][name][:], values)
    assert tomllib.loads(f.attrs["config"])["task"]["name"] == f.attrs["task"]
    if "solution" in f:
        solution = f["solution"]
        assert "genome" in solution and not any(name.startswith("lineage") for name in solution)
        assert solution["genome"].shape == (1, expected["genome"].shape[1])
print("checked", len(expected["cell"]), "elites")
