"""Executes a notebook of docs/notebooks, and prints what it arrives at.

run_notebook.py NOTEBOOK SWEEP EXECUTED [FIGURES LAST]: EXECUTED becomes the notebook with its outputs, of which FIGURES (default 1) are figures; LAST is a
last cell, whose output is printed (default: the numbers of the sweep's notebook as JSON).
"""

import json
import os
import sys
import tempfile

import jupyter_client
import nbclient
import nbformat

notebook, sweep, executed = sys.argv[1:4]
os.environ["ILLUME_SWEEP"] = sweep
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
document = nbformat.read(notebook, as_version=4)
assert not any(cell.get("outputs") for cell in document.cells), "the committed notebook has outputs"
numbers = """
import json
print(json.dumps({
    "baseline": baseline,
    "summaries": {name: [int(s["n"]), s["median"], s["lower quartile"], s["upper quartile"], s["IQM"]] for name, s in summary.iterrows()},
    "tests": {name: [t["P(better)"], t["p"], t["adjusted p"]] for name, t in tests.iterrows()},
}))
"""
expected, last = (int(sys.argv[4]), sys.argv[5]) if len(sys.argv) > 4 else (1, numbers)
document.cells.append(nbformat.v4.new_code_cell(last))

folder = tempfile.TemporaryDirectory()


class ByFiles(jupyter_client.AsyncKernelManager):
    """Kernel and client speak by sockets in a folder, not by ports that others of the machine could reach."""

    def __init__(self, **options):
        super().__init__(**options)
        self.transport, self.ip = "ipc", os.path.join(folder.name, "kernel")


nbclient.NotebookClient(document, timeout=300, kernel_name="python3", kernel_manager_class=ByFiles).execute()
last = document.cells.pop()
nbformat.write(document, executed)
figures = [output for cell in document.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
assert len(figures) == expected, f"{len(figures)} figures"
print(last.outputs[0]["text"])
