"""Opens an eval.h5 with h5py and xarray, and recomputes its totals from its columns and the archive's. Usage: check_evaluation.py FORMAT.md ARCHIVE EVAL"""

import contextlib
import io
import os
import re
import sys

import h5py
import numpy as np
import pandas
import xarray

COLUMNS = {
    "cell": ("i8", ["elite"]),
    "fitness": ("f8", ["elite"]),
    "descriptor": ("f8", ["elite", "axis"]),
    "seed": ("u8", ["elite"]),
    "expected_fitness": ("f8", ["elite"]),
    "fitness_sd": ("f8", ["elite"]),
    "expected_descriptor": ("f8", ["elite", "axis"]),
    "descriptor_sd": ("f8", ["elite"]),
    "descriptor_distance": ("f8", ["elite"]),
    "center_distance": ("f8", ["elite"]),
    "corrected_cell": ("i8", ["elite"]),
    "episodes": ("u4", ["elite"]),
    "identical": ("u1", ["elite"]),
}


def same(what, got, expected):
    assert got == expected, f"{what}: {got!r}, expected {expected!r}"


def locate(cells, descriptor):
    """Cells by the rules of docs/format.md; bounds are taken as they are there."""
    a = cells.attrs
    if a["kind"] == "grid":
        shape = np.asarray(a["shape"], dtype="i8")
        index = np.floor((descriptor - a["lower"]) * (shape / (a["upper"] - a["lower"]))).astype("i8")
        index = np.clip(index, 0, shape - 1)
        center = a["lower"] + (index + 0.5) * (a["upper"] - a["lower"]) / shape
        return np.ravel_multi_index(tuple(index.T), tuple(shape)), center
    centroids = cells["centroids"][:]
    nearest = np.array([np.argmin(((centroids - d) ** 2).sum(axis=1)) for d in descriptor])
    return nearest, centroids[nearest]


page, archive_path, path = sys.argv[1:]
with h5py.File(archive_path) as archive, h5py.File(path) as f:
    a, elites, cells = f.attrs, f["elites"], archive["cells"]
    same("format", (a["format"], int(a["format_version"])), ("illume evaluation", 2))
    for name in ["task", "strategy", "seed", "generation", "evaluations"]:
        same(name, a[name], archive.attrs[name])
    same("archive", a["archive"], archive_path)
    same("episodes", int(a["episodes"]), 4)
    assert a["software_version"] and pandas.Timestamp(a["created"]).tz is not None
    same("axes", list(a["axes"]), list(cells.attrs["names"]))
    same("columns", list(elites.attrs["columns"]), list(COLUMNS))
    for name, (kind, dimensions) in COLUMNS.items():
        same(f"type of {name}", elites[name].dtype, np.dtype(kind))
        same(f"dimensions of {name}", [d.label for d in elites[name].dims], dimensions)
        assert elites[name].attrs["description"], name
    units = set(cells.attrs["units"])
    for name in ["descriptor", "expected_descriptor", "descriptor_sd", "descriptor_distance", "center_distance"]:
        unit = units.pop() if len(units) == 1 else ""
        units.add(unit)
        same(f"unit of {name}", elites[name].attrs.get("units", ""), unit)
    x = {name: elites[name][:] for name in COLUMNS}
    for name in ["cell", "fitness", "descriptor", "seed"]:
        assert (x[name] == archive["elites"][name][:]).all(), f"{name} is as stored"

    # Rows: every number that follows from others.
    well = x["episodes"] > 0
    assert (x["episodes"] <= 4).all() and np.isfinite(x["expected_fitness"][well]).all()
    assert np.isnan(x["expected_fitness"][~well]).all()
    mean = x["expected_descriptor"][well]
    inside = ((mean >= cells.attrs["lower"]) & (mean <= cells.attrs["upper"])).all(axis=1)
    nearest, _ = locate(cells, mean)
    reject = 'outside = "reject"' in archive.attrs["config"]
    cell = np.where(inside | (not reject), nearest, -1)
    assert (x["corrected_cell"][well] == cell).all() and (x["corrected_cell"][~well] == -1).all()
    # The mean distance to a point is at least the distance of the mean, at most that and the spread together.
    _, centers = locate(cells, x["descriptor"])
    for name, points in [("descriptor_distance", x["descriptor"]), ("center_distance", centers)]:
        least = np.linalg.norm(x["expected_descriptor"] - points, axis=1)
        most = np.hypot(least, x["descriptor_sd"])
        assert (x[name][well] >= least[well] - 1e-12).all() and (x[name][well] <= most[well] + 1e-12).all(), name

    # Totals.
    offset = float(a["qd_offset"])
    kept = x["corrected_cell"] >= 0
    table = pandas.DataFrame({"cell": x["corrected_cell"][kept], "fitness": x["expected_fitness"][kept]})
    best = table.groupby("cell").fitness.max()
    totals = {
        "elites": len(x["cell"]),
        "identical": int(x["identical"].sum()),
        "failed": int((~well).sum()),
        "qd_score": (x["fitness"] + offset).sum(),
        "expected_qd_score": (x["expected_fitness"][well] + offset).sum(),
        "expected_qd_score_se": np.sqrt((x["fitness_sd"][well] ** 2 / (x["episodes"][well] - 1)).sum()),
        "corrected_qd_score": (best + offset).sum(),
        "coverage": len(x["cell"]) / int(a["cells"]),
        "expected_coverage": well.sum() / int(a["cells"]),
        "corrected_coverage": len(best) / int(a["cells"]),
        "max_fitness": x["fitness"].max(),
        "expected_max_fitness": np.nanmax(x["expected_fitness"]),
        "corrected_max_fitness": best.max(),
        "mean_fitness_change": np.nanmean(x["expected_fitness"] - x["fitness"]),
        "mean_fitness_sd": np.nanmean(x["fitness_sd"]),
        "mean_descriptor_sd": np.nanmean(x["descriptor_sd"]),
        "mean_descriptor_distance": np.nanmean(x["descriptor_distance"]),
        "mean_center_distance": np.nanmean(x["center_distance"]),
    }
    same("qd_offset", offset, float(cells.attrs["qd_offset"]))
    for name, value in totals.items():
        np.testing.assert_allclose(a[name], value, rtol=1e-9, atol=1e-12, err_msg=name)
    assert len(set(x["seed"])) == len(x["seed"]), "elites are independent"
    errors = [a[f"{kind}_{name}_se"] for kind in ("expected", "corrected") for name in ("qd_score", "coverage", "max_fitness")]
    assert (np.array(errors) > 0).sum() == (0 if a["task"] == "arm" else 5) and a["expected_coverage_se"] == 0, errors
    if a["task"] == "arm":
        assert not x["fitness_sd"].any() and not x["descriptor_distance"].any() and x["identical"].all()
    else:
        assert (x["fitness_sd"] > 0).mean() > 0.9, "fresh episodes differ"
        assert len(best) < len(x["cell"]), "some elites share a cell when corrected"

with xarray.open_dataset(path, group="elites", engine="h5netcdf") as data:
    same("sizes", data.sizes["elite"], totals["elites"])
    same("descriptor", data["expected_descriptor"].dims, ("elite", "axis"))

# The lines that docs/format.md shows say the same.
blocks = re.findall(r"```python\n(.*?)```", open(page, encoding="utf-8").read(), re.S)
[block] = [b for b in blocks if "corrected_cell" in b]
os.chdir(os.path.dirname(path))
said = io.StringIO()
with contextlib.redirect_stdout(said):
    exec(block)
numbers = [float(n) for n in re.findall(r"(?<= )-?\d[-+\d.e]*", said.getvalue())]
known = [totals[f"{kind}_{name}"] for kind in ("expected", "corrected") for name in ("qd_score", "coverage")]
np.testing.assert_allclose(numbers, known, err_msg=said.getvalue())
print("checked", path)
