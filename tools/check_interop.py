"""Lets pyribs and QDax draw and count what `illume export` writes, and `illume import` read what they and pymap_elites write.

Usage: check_interop.py check ILLUME FOLDER RUN...    exports of these run directories, and archives of the other programs, in both directions
       check_interop.py record FOLDER [PYMAP]         the files that the tests of `illume import` read (tests/data/interop)

It needs `"ribs[visualize]==0.12.0" qdax==0.5.0 h5py tensorboard`; PYMAP is a clone of github.com/resibots/pymap_elites (also needs scikit-learn).
`check` leaves its pictures in FOLDER and says what it has compared; it fails at the first difference.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import types

import numpy as np

os.environ.setdefault("JAX_PLATFORMS", "cpu")


def illume(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, arguments))}: {done.stderr}"
    return done.stdout


def equal(what, got, expected):
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, expected {expected.shape}"
    assert np.array_equal(got, expected, equal_nan=True), f"{what} differs by {np.max(np.abs(got - expected))}"


# Archives of the other programs ---------------------------------------------------------------------------------------


def pyribs_archive(kind, dtype, seed, extra=False):
    """A sphere of 6 genes whose first two are the measures."""
    from ribs.archives import CVTArchive, GridArchive

    rng = np.random.default_rng(seed)
    fields = {"extra_fields": {"age": ((), np.int32), "path": ((3,), np.float64)}} if extra else {}
    own = {"solution_dim": 6, "ranges": [(-1, 1), (-2, 2)], "solution_dtype": dtype, "objective_dtype": np.float64,
           "measures_dtype": np.float64, "seed": seed, "qd_score_offset": -10.0, **fields}
    centroids = rng.uniform([-1, -2], [1, 2], size=(40, 2))
    archive = GridArchive(dims=[8, 12], **own) if kind == "grid" else CVTArchive(centroids=centroids, **own)
    for step in range(4):
        x = rng.normal(size=(50, 6)).astype(dtype)
        more = {"age": np.full(50, step), "path": rng.normal(size=(50, 3))} if extra else {}
        archive.add(x, -np.sum(x.astype(np.float64) ** 2, axis=1), x[:, :2].astype(np.float64) * [0.5, 1.0], **more)
    return archive


def qdax_repertoire():
    import jax.numpy as jnp
    from qdax.core.containers.mapelites_repertoire import MapElitesRepertoire, compute_cvt_centroids
    import jax

    rng = np.random.default_rng(3)
    centroids = compute_cvt_centroids(num_descriptors=2, num_init_cvt_samples=2000, num_centroids=48, minval=[-1.0, 0.0], maxval=[1.0, 3.0],
                                      key=jax.random.key(1))
    x = jnp.asarray(rng.normal(size=(60, 5)), dtype=jnp.float32)
    descriptors = jnp.stack([jnp.tanh(x[:, 0]), 1.5 + 1.5 * jnp.tanh(x[:, 1])], axis=1)
    return MapElitesRepertoire.init(genotypes=x, fitnesses=-jnp.sum(x**2, axis=1, keepdims=True), descriptors=descriptors, centroids=centroids,
                                    extra_scores={})


def save_qdax(repertoire, folder):
    import jax.numpy as jnp

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("genotypes", "fitnesses", "descriptors", "centroids"):
        jnp.save(folder / f"{name}.npy", getattr(repertoire, name))


def load_qdax(folder, reconstruct=lambda genes: genes):
    import jax
    import jax.numpy as jnp
    from qdax.core.containers.mapelites_repertoire import MapElitesRepertoire

    arrays = {name: jnp.load(folder / f"{name}.npy") for name in ("genotypes", "fitnesses", "descriptors", "centroids")}
    arrays["genotypes"] = jax.vmap(reconstruct)(arrays["genotypes"])
    return MapElitesRepertoire(**arrays, extra_scores={}, keys_extra_scores=())


def run_pymap(clone, folder):
    code = """
import multiprocessing, sys, numpy as np
multiprocessing.Pool = lambda processes: None  # without processes of its own it repeats itself
sys.path.insert(0, sys.argv[1])
np.random.seed(1)
import map_elites.cvt as cvt, map_elites.common as common, sklearn.cluster
common.KMeans = lambda n_jobs=1, algorithm="full", **rest: sklearn.cluster.KMeans(**rest)  # what scikit-learn has dropped
def arm(x):
    return 1.0 - float(np.std(x)), np.array([x[0], 0.5 * (x[1] + x[2])])
parameters = dict(common.default_params, batch_size=50, random_init_batch=50, cvt_samples=2000, parallel=False, dump_period=-1)
cvt.compute(2, 4, arm, n_niches=60, max_evals=400, params=parameters)
"""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-c", code, str(pathlib.Path(clone).resolve())], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def record(folder, clone):
    folder.mkdir(parents=True, exist_ok=True)
    grid, cvt = pyribs_archive("grid", np.float32, 1, extra=True), pyribs_archive("cvt", np.float64, 2)
    grid.data(return_type="pandas").to_csv(folder / "pyribs_grid.csv", index=False)
    np.savez(folder / "pyribs_cvt.npz", **cvt.data())
    np.save(folder / "pyribs_centroids.npy", cvt.centroids)
    stats = {name: {"num_elites": int(a.stats.num_elites), "coverage": float(a.stats.coverage), "qd_score": float(a.stats.qd_score),
                    "obj_max": float(a.stats.obj_max), "obj_mean": float(a.stats.obj_mean)} for name, a in (("grid", grid), ("cvt", cvt))}
    (folder / "pyribs.json").write_text(json.dumps(stats, indent=1) + "\n")
    save_qdax(qdax_repertoire(), folder / "qdax")
    if clone:
        run_pymap(clone, folder / "pymap")


# Our exports in the other programs ------------------------------------------------------------------------------------


def check_run(program, folder, run):
    """A grid or CVT of two axes: pyribs and QDax draw it, and count what we count."""
    import h5py
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import pandas
    from ribs.archives import ArchiveDataFrame, CVTArchive, GridArchive
    from ribs.visualize import aggregate_cdf, cvt_archive_heatmap, grid_archive_heatmap, qdax_repertoire_heatmap

    name = pathlib.Path(run).name
    about = json.loads(illume(program, "info", run, "--json"))
    csv = folder / f"{name}.csv"
    illume(program, "export", run, "-o", csv, "--names", "pyribs", "--genomes", "--force")
    df = ArchiveDataFrame(pandas.read_csv(csv))
    source = pathlib.Path(run)
    with h5py.File(source / "archive.h5" if source.is_dir() else source) as f:
        cells = f["cells"]
        ranges = list(zip(cells.attrs["lower"], cells.attrs["upper"]))
        elites = {key: f["elites"][key][:] for key in ("cell", "fitness", "descriptor")}
        genome = f["elites/genome"][:] if "genome" in f["elites"] else None
        shape = list(map(int, cells.attrs["shape"])) if "shape" in cells.attrs else None
        centroids = cells["centroids"][:] if "centroids" in cells else None
        offset, history = cells.attrs["qd_offset"], {key: f["history"][key][:] for key in f["history"].attrs["columns"]}
    equal("objective", df["objective"], elites["fitness"])
    equal("measures", df.get_field("measures"), elites["descriptor"])
    equal("index", df["index"], elites["cell"])
    if genome is not None:
        equal("solution", df.get_field("solution").astype("f4"), genome)
    own = {"solution_dim": about["genome_dim"], "ranges": ranges, "qd_score_offset": -offset, "dtype": np.float64}
    archive = CVTArchive(centroids=centroids, **own) if shape is None else GridArchive(dims=shape, **own)
    archive.add(df.get_field("solution"), df["objective"].to_numpy(), df.get_field("measures"))
    moved = int(np.sum(archive.index_of(df.get_field("measures")) != elites["cell"]))
    stats = archive.stats
    if moved == 0:
        assert stats.num_elites == about["filled"] and stats.coverage == about["coverage"], (stats, about)
        assert stats.obj_max == about["max_fitness"], (stats, about)
        assert abs(stats.qd_score - about["qd_score"]) <= 1e-9 * abs(about["qd_score"]), (stats, about)
    figure, axes = plt.subplots(1, 3, figsize=(21, 6))
    if shape is None:
        cvt_archive_heatmap(archive, axes[0], df=df)
    else:
        grid_archive_heatmap(archive, axes[0], df=df)
    line, _ = aggregate_cdf([archive], axes[1], dfs=[df], cumulative=-1)
    values, edges, _ = line.get_data()
    # Of the last bin both ends belong to it.
    equal("CCDF", values, [np.sum(elites["fitness"] >= edge) for edge in edges[:-1]])
    repertoire = folder / f"{name}-qdax"
    illume(program, "export", run, "-o", repertoire, "--form", "qdax", "--force")
    loaded = load_qdax(repertoire)
    fitnesses = np.asarray(loaded.fitnesses)[:, 0]
    filled = np.isfinite(fitnesses)
    equal("cells of QDax", np.flatnonzero(filled), elites["cell"])
    equal("fitnesses", fitnesses[filled], elites["fitness"].astype("f4"))
    equal("descriptors", np.asarray(loaded.descriptors)[filled], elites["descriptor"].astype("f4"))
    if genome is not None:
        equal("genotypes", np.asarray(loaded.genotypes)[filled], genome)
    qdax_repertoire_heatmap(loaded, ranges, axes[2])
    figure.savefig(folder / f"{name}-pyribs.png", dpi=80)
    import qdax.utils.plotting
    from qdax.utils.metrics import default_qd_metrics
    from qdax.utils.plotting import plot_2d_map_elites_repertoire, plot_map_elites_results
    from scipy.spatial import Voronoi

    class Points(np.ndarray):
        """QDax 0.5.0 calls a method that arrays of numpy 2 have no more."""

        def ptp(self):
            return np.ptp(self)

    def diagram(points):
        made = Voronoi(points)
        parts = {name: getattr(made, name) for name in ("vertices", "ridge_points", "ridge_vertices", "point_region", "regions")}
        return types.SimpleNamespace(points=made.points.view(Points), **parts)

    qdax.utils.plotting.Voronoi = diagram

    metrics = default_qd_metrics(loaded, qd_offset=offset)
    assert abs(float(metrics["qd_score"]) - about["qd_score"]) <= 1e-4 * abs(about["qd_score"]), (metrics, about)
    assert abs(float(metrics["coverage"]) - 100 * about["coverage"]) < 1e-4 and abs(float(metrics["max_fitness"]) - about["max_fitness"]) < 1e-4 * (1 + abs(about["max_fitness"]))
    lower, upper = np.array(ranges).T
    results = {"coverage": 100 * history["coverage"], "max_fitness": history["max_fitness"], "qd_score": history["qd_score"]}
    figure, _ = plot_map_elites_results(history["evaluations"], results, loaded, lower, upper, x_label="evaluations")
    figure.savefig(folder / f"{name}-qdax.png", dpi=40)
    figure, _ = plot_2d_map_elites_repertoire(loaded.centroids, loaded.fitnesses, lower, upper, loaded.descriptors)
    figure.savefig(folder / f"{name}-qdax-map.png", dpi=60)
    plt.close("all")
    print(f"{name}: {about['filled']} elites of {about['cells']} cells; columns, CCDF at {len(edges) - 1} edges, cells, QD score, coverage and best fitness are equal",
          f"({moved} elites lie in another cell by pyribs' rule)" if moved else "")


def check_imports(program, folder):
    """From the other programs to ours and back."""
    import pandas
    import ribs.archives

    for kind, dtype, extra in (("grid", np.float32, True), ("grid", np.float64, False), ("cvt", np.float32, False), ("cvt", np.float64, False)):
        archive = pyribs_archive(kind, dtype, 5, extra)
        frame = archive.data(return_type="pandas")
        name = f"{kind}-{np.dtype(dtype).name}"
        frame.to_csv(folder / f"{name}.csv", index=False)
        np.savez(folder / f"{name}.npz", **archive.data())
        np.savez_compressed(folder / f"{name}-small.npz", **archive.data())
        division = ["--grid", "8x12"]
        if kind == "cvt":
            np.save(folder / "centroids.npy", archive.centroids)
            division = ["--centroids", folder / "centroids.npy"]
        for source in (f"{name}.csv", f"{name}.npz", f"{name}-small.npz"):
            ours = folder / "imported.h5"
            said = json.loads(illume(program, "import", folder / source, "-o", ours, *division, "--bounds", "-1,1", "--bounds", "-2,2",
                                     "--qd-offset", "10", "--force", "--json"))
            about, stats = json.loads(illume(program, "info", ours, "--json")), archive.stats
            assert (about["filled"], about["coverage"], about["max_fitness"]) == (stats.num_elites, stats.coverage, stats.obj_max)
            assert abs(about["qd_score"] - stats.qd_score) < 1e-9 * abs(stats.qd_score)
            back = folder / "back.csv"
            illume(program, "export", ours, "-o", back, "--names", "pyribs", "--genomes", "--force")
            again = ribs.archives.ArchiveDataFrame(pandas.read_csv(back))
            first = frame.sort_values("index").reset_index(drop=True)
            for column in first:
                got = again[column].to_numpy()
                if column.startswith("solution"):
                    exact = first[column].to_numpy().astype(np.float32)
                    equal(column, got.astype(np.float32), exact)
                    assert (said["rounded_genes"] > 0) == (dtype == np.float64), said
                else:
                    equal(column, got, first[column])
        print(f"pyribs {name}: CSV, NPZ and compressed NPZ come back equal, {said['rounded_genes']} genes rounded; statistics are equal")
    repertoire, there, ours, back = qdax_repertoire(), folder / "qdax", folder / "qdax.h5", folder / "qdax-back"
    save_qdax(repertoire, there)
    illume(program, "import", there, "-o", ours, "--bounds", "-1,1", "--bounds", "0,3", "--force")
    shutil.rmtree(back, ignore_errors=True)
    illume(program, "export", ours, "-o", back, "--form", "qdax")
    for name in ("genotypes", "fitnesses", "descriptors", "centroids"):
        assert (there / f"{name}.npy").read_bytes() == (back / f"{name}.npy").read_bytes(), name
    print("QDax: the four files come back byte for byte")


def check_events(program, folder):
    """The package tensorboard reads the events of a run that was interrupted, with what it did beyond its checkpoint."""
    import pandas
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = folder / "events"
    shutil.rmtree(run, ignore_errors=True)
    config = folder / "events.toml"
    config.write_text('seed = 1\n[task]\nname = "arm"\n[strategy]\nname = "map_elites"\nbatch = 100\n[archive]\nshape = [20, 20]\n[output]\ntensorboard = true\n')
    illume(program, "run", config, "--out", run, "--set", "budget.generations=20")
    earlier = (run / "checkpoint.h5").read_bytes()
    illume(program, "resume", run, "--set", "budget.generations=30")
    (run / "checkpoint.h5").write_bytes(earlier)
    illume(program, "resume", run, "--set", "budget.generations=50")
    events = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    history = pandas.read_csv(run / "history.csv")
    for name in history.columns.drop("evaluations"):
        scalars = events.Scalars(name)
        equal(f"steps of {name}", [s.step for s in scalars], history["evaluations"])
        equal(name, np.float32([s.value for s in scalars]), history[name].astype("f4"))
    images = events.Images("archive")
    # The picture beyond the checkpoint is gone.
    assert [image.step for image in images] == [2000, 5000], [image.step for image in images]
    (folder / "events.png").write_bytes(images[-1].encoded_image_string)
    print(f"TensorBoard: {len(history)} steps of {len(history.columns) - 1} scalars are the history, each once; the last picture has {images[-1].width} x {images[-1].height} pixels")


def check(program, folder, runs):
    folder.mkdir(parents=True, exist_ok=True)
    check_imports(program, folder)
    check_events(program, folder)
    for run in runs:
        check_run(program, folder, run)


if sys.argv[1:2] == ["record"]:
    record(pathlib.Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
elif sys.argv[1:2] == ["check"] and len(sys.argv) > 3:
    check(sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4:])
else:
    sys.exit(__doc__)
