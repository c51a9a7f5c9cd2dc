"""Reads archives with h5py, pandas and xarray, and checks them against docs/format.md. Usage: check_archive.py FILE..."""

import sys
import tomllib

import h5py
import numpy as np
import pandas
import xarray

# Dataset of /elites: (type, dimensions). DESIGN section 4.
ELITES = {
    "cell": ("i8", ["elite"]),
    "fitness": ("f8", ["elite"]),
    "descriptor": ("f8", ["elite", "axis"]),
    "generation": ("i8", ["elite"]),
    "operator": ("i4", ["elite"]),
    "seed": ("u8", ["elite"]),
    "parents": ("i8", ["elite", "parent"]),
}
DENSE = {"genome": ("f4", ["elite", "gene"])}
LINEAGE = {
    "lineage_offsets": ("u8", ["offset"]),
    "lineage_streams": ("u8", ["step"]),
    "lineage_scales": ("f4", ["step"]),
}
HISTORY = [
    "generation", "evaluations", "wall_seconds", "qd_score", "coverage", "max_fitness", "mean_fitness",
    "filled", "env_steps", "frames", "invalid", "outside", "idle_share",
]  # fmt: skip
OWN_HISTORY = {
    "map_elites": [],
    "deep_ga": ["elite_fitness", "validated_mean", "population_max", "population_median", "last_elite_test", "sigma"],
    "openai_es": ["center_fitness", "population_mean", "population_max", "mean_steps", "episode_cap"],
}
OPERATORS = {
    "map_elites": ["random", "iso_line", "polynomial"],
    "deep_ga": ["random", "mutation"],
    "openai_es": ["center"],
}


def same(what, got, expected):
    assert got == expected, f"{what}: {got!r}, expected {expected!r}"


def dimensions(dataset):
    """Names of a dataset's dimension scales, which must have its sizes."""
    names = []
    for axis, dimension in enumerate(dataset.dims):
        same(f"{dataset.name}: scales of axis {axis}", len(dimension), 1)
        scale = dimension[0]
        assert scale.is_scale, f"{scale.name} is no dimension scale"
        same(f"{dataset.name}: size of {scale.name}", scale.shape, (dataset.shape[axis],))
        names.append(scale.name.rsplit("/", 1)[1])
        same(f"{dataset.name}: label of axis {axis}", dimension.label, names[-1])
    return names


def check_attributes(f):
    a = f.attrs
    same("format", (a["format"], int(a["format_version"])), ("illume", 1))
    for name in ["software_version", "task", "strategy", "config", "created"]:
        assert isinstance(a[name], str) and a[name], f"attribute {name} is {a[name]!r}"
    for name in ["format_version", "seed", "generation", "evaluations", "ranks", "threads"]:
        same(f"type of {name}", np.asarray(a[name]).dtype, np.dtype("u8"))
    assert a["ranks"] >= 1 and a["threads"] >= 1 and a["generation"] > 0 and a["evaluations"] > 0
    created = pandas.Timestamp(a["created"])
    assert created.tz is not None and created.year >= 2024, a["created"]
    config = tomllib.loads(a["config"])
    same("config", (config["task"]["name"], config["strategy"]["name"]), (a["task"], a["strategy"]))
    same("config.seed", config["seed"], a["seed"])


def check_elites(f):
    elites, cells = f["elites"], f["cells"]
    lineage = {"lineage": True, "dense": False}[elites.attrs["genome_form"]]
    same("lineages", lineage, f.attrs["strategy"] == "deep_ga")
    scales = {d.name.rsplit("/", 1)[1] for d in elites.values() if d.is_scale}
    expected = ELITES | (LINEAGE if lineage else DENSE)
    same("datasets of /elites", set(elites) - scales, set(expected))
    for name, (kind, names) in expected.items():
        dataset = elites[name]
        same(f"type of {name}", dataset.dtype, np.dtype(kind))
        same(f"dimensions of {name}", dimensions(dataset), names)
        assert dataset.attrs["description"], f"{name} has no description"
    n, k = elites["descriptor"].shape
    assert n > 0 and k == len(cells.attrs["names"])
    for name in ELITES:
        same(f"rows of {name}", elites[name].shape[0], n)
    same("shape of parents", elites["parents"].shape, (n, 2))
    dim = int(elites.attrs["genome_dim"])
    if lineage:
        offsets, streams, factors = (elites[name][:] for name in LINEAGE)
        same("offsets", (len(offsets), offsets[0], offsets[-1]), (n + 1, 0, len(streams)))
        assert (np.diff(offsets.astype("i8")) >= 1).all() and len(factors) == len(streams)
        same("scale of the first steps", set(factors[offsets[:-1]]), {1.0})
    else:
        same("shape of genome", elites["genome"].shape, (n, dim))
        assert elites["genome"].chunks is not None, "genomes are chunked"
        assert np.isfinite(elites["genome"][:]).all()
    operators = list(elites["operator"].attrs["operators"])
    same("operators", operators, OPERATORS[f.attrs["strategy"]])
    assert (elites["operator"][:] >= 0).all() and (elites["operator"][:] < len(operators)).all()
    assert np.isfinite(elites["fitness"][:]).all() and np.isfinite(elites["descriptor"][:]).all()
    assert (elites["generation"][:] < f.attrs["generation"]).all() and (elites["generation"][:] >= 0).all()
    parents = elites["parents"][:]
    assert (parents >= -1).all() and (parents < int(cells.attrs["count"])).all()
    assert len(set(elites["seed"][:])) == n, "each elite has an evaluation seed of its own"


def check_cells(f):
    """The cells, and that each elite lies in the one that the documented rule gives."""
    cells, elites = f["cells"], f["elites"]
    a = cells.attrs
    k, count = len(a["names"]), int(a["count"])
    for name in ["names", "units", "lower", "upper"]:
        same(f"length of {name}", len(a[name]), k)
    assert all(a["names"]) and (a["lower"] < a["upper"]).all() and np.isfinite(a["qd_offset"])
    descriptor, cell = elites["descriptor"][:], elites["cell"][:]
    assert (np.diff(cell) > 0).all() and cell[0] >= 0 and cell[-1] < count, "cells rise and are below count"
    if a["kind"] == "grid":
        shape = np.asarray(a["shape"], dtype="i8")
        same("count", count, int(np.prod(shape)))
        index = np.floor((descriptor - a["lower"]) * (shape / (a["upper"] - a["lower"]))).astype("i8")
        index = np.clip(index, 0, shape - 1)
        expected = np.ravel_multi_index(tuple(index.T), tuple(shape))
    else:
        same("kind", a["kind"], "cvt")
        centroids = cells["centroids"]
        same("centroids", (centroids.dtype, centroids.shape), (np.dtype("f8"), (count, k)))
        same("dimensions of centroids", dimensions(centroids), ["cell", "axis"])
        assert (centroids[:] >= a["lower"]).all() and (centroids[:] <= a["upper"]).all()
        expected = np.array([np.argmin(((centroids[:] - d) ** 2).sum(axis=1)) for d in descriptor])
    wrong = np.flatnonzero(expected != cell)
    assert len(wrong) == 0, f"elites {wrong[:5]} lie in cells {cell[wrong[:5]]}, not {expected[wrong[:5]]}"


def check_history(f):
    history = f["history"]
    names = list(history.attrs["columns"])
    same("columns of /history", names, HISTORY + OWN_HISTORY[f.attrs["strategy"]])
    for name in names:
        column = history[name]
        same(f"{name}: type and dimensions", (column.dtype, dimensions(column)), (np.dtype("f8"), ["row"]))
        assert column.attrs["description"], f"{name} has no description"
    same("units of wall_seconds", history["wall_seconds"].attrs["units"], "s")
    table = pandas.DataFrame({name: history[name][:] for name in names})
    last = table.iloc[-1]
    fitness = f["elites/fitness"][:]
    count, offset = int(f["cells"].attrs["count"]), float(f["cells"].attrs["qd_offset"])
    same("last generation", last.generation, float(f.attrs["generation"]))
    same("last evaluations", last.evaluations, float(f.attrs["evaluations"]))
    same("filled", last.filled, float(len(fitness)))
    np.testing.assert_allclose(last.coverage, len(fitness) / count)
    np.testing.assert_allclose(last.qd_score, (fitness + offset).sum(), rtol=1e-9)
    np.testing.assert_allclose([last.max_fitness, last.mean_fitness], [fitness.max(), fitness.mean()], rtol=1e-9)


def check_solution(f):
    strategy = f.attrs["strategy"]
    same("whether there is a solution", "solution" in f, strategy != "map_elites")
    if strategy == "openai_es":
        genome = f["solution/genome"]
        same("solution", (genome.dtype, genome.shape), (np.dtype("f4"), (1, int(f["elites"].attrs["genome_dim"]))))
    if strategy == "deep_ga":
        same("streams", f["solution/lineage_streams"].dtype, np.dtype("u8"))
        assert np.isfinite(f["solution/fitness"][0])


def check_state(f, name):
    same("whether there is a state", "state" in f, "checkpoint" in name)
    if "state" in f:
        filled = f["state/archive/filled"][:]
        same("filled cells", sorted(filled), list(f["elites/cell"][:]))
        assert "engine" in f["state"]


def check_xarray(path):
    """xarray shows the datasets with their dimensions, and labels descriptors by their names."""
    with h5py.File(path) as f:
        names = [str(n) for n in f["cells"].attrs["names"]]
        n, fitness = len(f["elites/fitness"]), f["elites/fitness"][:]
        lineage = f["elites"].attrs["genome_form"] == "lineage"
    with xarray.open_dataset(path, group="elites", engine="h5netcdf") as elites:
        same("sizes", (elites.sizes["elite"], elites.sizes["axis"]), (n, len(names)))
        same("fitness", (elites["fitness"].dims, list(elites["fitness"].values)), (("elite",), list(fitness)))
        same("descriptor", elites["descriptor"].dims, ("elite", "axis"))
        same("labels", [str(x) for x in elites["axis"].values], names)
        assert elites["descriptor"].sel(axis=names[0]).shape == (n,)
        assert elites["fitness"].attrs["description"]
        if not lineage:
            same("genome", elites["genome"].dims, ("elite", "gene"))
        frame = elites[["fitness", "cell", "generation"]].to_dataframe()
        same("rows of the data frame", len(frame), n)
    with xarray.open_dataset(path, group="history", engine="h5netcdf") as history:
        same("history", history["qd_score"].dims, ("row",))


for path in sys.argv[1:]:
    with h5py.File(path) as f:
        check_attributes(f)
        check_elites(f)
        check_cells(f)
        check_history(f)
        check_solution(f)
        check_state(f, path)
    check_xarray(path)
    print("checked", path)
assert len(sys.argv) > 1, "no file given"
