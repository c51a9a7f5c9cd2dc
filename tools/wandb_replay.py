"""Sends the histories of illume's runs to Weights & Biases, from a machine that has a network: a login node, once the jobs have ended.

Usage: wandb_replay.py PROJECT RUN_DIRECTORY...    needs `wandb`, `pandas` and `h5py`; with WANDB_MODE=offline, `wandb sync wandb/offline-run-*` sends them later

Runs are named after their folders and grouped by task and strategy. A folder has the same id each time that it is sent.
"""

import hashlib
import pathlib
import sys
import tomllib

import h5py
import pandas
import wandb

project, folders = sys.argv[1:2], [pathlib.Path(folder).resolve() for folder in sys.argv[2:]]
if not folders:
    sys.exit(__doc__)
for folder in folders:
    history = pandas.read_csv(folder / "history.csv")
    with h5py.File(folder / "archive.h5") as f:
        about = {name: f.attrs[name] for name in ("task", "strategy", "seed", "created", "software_version")}
        elites = len(f["elites/fitness"])
    config = tomllib.loads((folder / "config.toml").read_text())
    own = hashlib.sha256(f"{folder} {about['created']}".encode()).hexdigest()[:16]
    run = wandb.init(project=project[0], id=own, name=folder.name, group=f"{about['task']} {about['strategy']}", config={**config, "illume": about["software_version"]})
    run.define_metric("evaluations")
    run.define_metric("*", step_metric="evaluations")
    for row in history.to_dict("records"):
        run.log({name: value for name, value in row.items() if value == value}, step=int(row["generation"]))
    run.summary["elites"] = elites
    run.finish()
    print(f"{folder}: {len(history)} rows of {len(history.columns)} columns")
