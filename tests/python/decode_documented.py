"""Runs the decoder that docs/format.md shows on an archive of deep_ga on `arm`.

Usage: decode_documented.py FORMAT.md ARCHIVE GENES: GENES are the genes that illume itself decodes, f32, row after row.
"""

import re
import sys
import tomllib

import h5py
import numpy as np

page, archive, genes = sys.argv[1:]
block = re.search(r"In Python:\n+```python\n(.*?)```", open(page).read(), re.S)
assert block, "docs/format.md shows no decoder"
decoder = {}
exec(block[1], decoder)

with h5py.File(archive) as f:
    elites = f["elites"]
    dim, offsets = int(elites.attrs["genome_dim"]), elites["lineage_offsets"][:]
    streams, scales, fitness = (elites[name][:] for name in ["lineage_streams", "lineage_scales", "fitness"])
    strategy = tomllib.loads(f.attrs["config"])["strategy"]
    table = decoder["table"](strategy["noise_table"]) if strategy["noise"] == "table" else None
    expected = np.fromfile(genes, dtype="f4").reshape(len(fitness), dim)
    for i, row in enumerate(expected):
        steps = slice(int(offsets[i]), int(offsets[i + 1]))
        got = decoder["decode"](f.attrs["seed"], dim, streams[steps], scales[steps], decoder["uniforms"], table)
        assert got.dtype == np.float32
        assert np.array_equal(got, row), f"lineage {i} differs by {np.abs(got - row).max()}"
        assert abs(-np.clip(got, 0, 1).std() - fitness[i]) < 1e-6
print(f"{len(expected)} lineages are equal bit for bit")
