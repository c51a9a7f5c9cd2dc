"""A parent that speaks the protocol of task.command with workers written in Python, for tests/python_package.rs.

check_worker.py FILE: FILE is python/illume/worker.py, which is imported alone as well.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile

import numpy as np

OPENING = {"illume": 1, "dim": None, "bounds": None, "descriptor": None, "arguments": {}}
HEAD = """
import sys
import numpy as np
if {alone}:
    import importlib.util
    spec = importlib.util.spec_from_file_location("worker", {file!r})
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    worker = module.worker
    assert "illume" not in sys.modules
else:
    from illume import worker
    assert "illume._illume" not in sys.modules
"""


class Parent:
    """A worker, asked as the engine asks."""

    def __init__(self, program, file, alone=False, opening=OPENING):
        self.stderr = tempfile.TemporaryFile("w+")
        text = HEAD.format(file=file, alone=alone) + program
        self.child = subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.stderr)
        self.send(json.dumps({**OPENING, **opening}).encode() + b"\n")
        self.said = self.line()

    def send(self, message):
        self.child.stdin.write(message)
        self.child.stdin.flush()

    def line(self):
        return json.loads(self.child.stdout.readline() or "null")

    def ask(self, genomes, seeds):
        """(fitness [n], rest [n, ...]) as f64."""
        genomes = np.asarray(genomes, dtype="<f4")
        n = len(genomes)
        if self.said["frames"] == "json":
            self.send(json.dumps({"genomes": genomes.tolist(), "seeds": list(seeds)}).encode() + b"\n")
            answer = self.line()
            if "error" in answer:
                return answer["error"]
            rows = [[f, *d] for f, d in zip(answer["fitness"], answer["descriptor"])]
            if self.said.get("steps"):
                rows = [[*row, s] for row, s in zip(rows, answer["steps"])]
            return np.array(rows, dtype=float)  # null is NaN
        body = np.array([n, 0], "<u4").tobytes() + np.array(seeds, "<u8").tobytes() + genomes.tobytes()
        self.send(len(body).to_bytes(4, "little") + body)
        answer = self.child.stdout.read(int.from_bytes(self.child.stdout.read(4), "little"))
        return np.frombuffer(answer, "<f8").reshape(n, -1) if answer else "failed"

    def end(self):
        """Closes its input: it must leave by itself. Gives what it wrote to standard error."""
        self.child.stdin.close()
        assert self.child.wait(20) == 0, self.child.returncode
        assert self.child.stdout.read() == b""
        self.stderr.seek(0)
        return self.stderr.read()


def main(file):
    axes = '[("x", 0, 1), ("y", -2, 2, "m")]'
    rng = np.random.default_rng(1)
    genomes, seeds = rng.normal(size=(5, 4)).astype("f4"), [0, 1, 2, 3, 2**53 - 1]
    expected = np.column_stack([genomes.astype(float).sum(1) + np.array(seeds, float), genomes[:, 0], genomes[:, 1]])
    found = []
    for frames in ("json", "binary"):
        for vectorized in (False, True):
            for alone in (False, True):
                if vectorized:
                    body = "return genome.astype(float).sum(1) + seed.astype(float), genome[:, :2]"
                else:
                    body = "return genome.astype(float).sum() + seed, genome[:2]"
                program = f"""
def value(genome, seed):
    print("a print")
    import os
    os.system("echo from the shell; cat")
    {body}
worker(value, dim=4, descriptor={axes}, frames="{frames}", vectorized={vectorized}, bounds=(-3, 3), qd_offset=2, version="1.2")
"""
                parent = Parent(program, file, alone)
                assert parent.said == {
                    "illume": 1, "dim": 4, "bounds": [-3.0, 3.0], "fitness": "fitness", "qd_offset": 2, "deterministic": False, "version": "1.2",
                    "batch": 64 if vectorized else 1, "frames": frames,
                    "descriptor": [{"name": "x", "unit": "", "lower": 0.0, "upper": 1.0}, {"name": "y", "unit": "m", "lower": -2.0, "upper": 2.0}],
                }, parent.said
                found.append(parent.ask(genomes, seeds))
                assert np.array_equal(parent.ask(genomes[:1], seeds[:1]), found[-1][:1])
                said = parent.end()
                assert "a print" in said and "from the shell" in said, said
    assert all(np.array_equal(rows, found[0]) for rows in found) and np.allclose(found[0], expected), found[0] - expected
    print(len(found), "workers agree")

    # Failed rows: an exception and NaN; the sentence and its place go to standard error.
    for frames in ("json", "binary"):
        failing = Parent(f"""
def value(genome):
    if genome[0] < 0: raise ValueError("the wing broke")
    return (np.nan if genome[0] > 5 else 1.0), genome[0], 17
worker(value, descriptor=[("x", 0, 1)], steps=True, frames="{frames}")
""", file, opening={"dim": 2})
        rows = failing.ask([[1, 0], [-1, 0], [6, 0]], [0, 0, 0])
        assert np.array_equal(rows, [[1, 1, 17], [np.nan, np.nan, 1], [np.nan, 6, 17]], equal_nan=True), rows
        said = failing.end()
        assert said.count("\n") == 1 and "ValueError: the wing broke (" in said, said

    # Genes say how many there are; a genome may be changed in place; a function that gives nothing is told so.
    kinds = [{"name": "a", "lower": 0, "upper": 1, "count": 2}, {"name": "b", "values": ["x", "y"]}]
    for frames in ("json", "binary"):
        for vectorized in (False, True):
            changing = Parent(f"""
def value(genome):
    genome += 1
    return genome.sum(axis=-1)
worker(value, genes={kinds}, frames="{frames}", vectorized={vectorized})
""", file)
            assert changing.said["genes"] == kinds and "dim" not in changing.said, changing.said
            assert np.array_equal(changing.ask([[1, 2, 3], [4, 5, 6]], [0, 1]), [[9], [18]])
            assert changing.end() == ""
        silent = Parent(f'worker(lambda genome: None, frames="{frames}")', file, opening={"genes": kinds})
        assert np.isnan(silent.ask([[1, 2, 3]], [0])).all()
        assert silent.end() == "the function gave None: does it return its values?\n"

    # A batch of which nothing can be said.
    for frames, wrong in (("json", "descriptor has shape (3,), (2,) is expected"), ("binary", "failed")):
        shape = Parent(f'worker(lambda g: (1.0, g[:3]), dim=4, descriptor={axes}, frames="{frames}")', file)
        answer = shape.ask(genomes, seeds)
        assert wrong in answer, answer
        assert isinstance(shape.ask(genomes, seeds), str)
        assert frames == "json" or "descriptor has shape (3,)" in shape.end()

    # No descriptor, arguments, and what is left to the configuration.
    plain = Parent("worker(lambda genome, arguments: float(genome.sum()) * arguments['factor'])", file, opening={"dim": 3, "arguments": {"factor": 2}})
    assert "dim" not in plain.said and np.array_equal(plain.ask([[1, 2, 3]], [0]), [[12.0]])
    plain.end()
    for opening, part in ({"dim": None}, "how many genes"), ({"illume": 2}, "version 1"):
        mute = Parent("worker(lambda genome: 1.0)", file, opening=opening)
        assert part in mute.said["error"], mute.said
        mute.end()

    # One whose parent is gone leaves, and an interrupt says nothing.
    for number in (signal.SIGINT,):
        left = Parent("worker(lambda genome: 1.0, dim=3)", file)
        left.child.send_signal(number)
        left.end()
    lost = Parent("worker(lambda genome: 1.0, dim=3)", file)
    lost.child.stdout.close()
    body = np.array([1, 0], "<u4").tobytes() + bytes(8) + bytes(12)
    lost.send(len(body).to_bytes(4, "little") + body)
    lost.child.stdin.close()
    assert lost.child.wait(20) == 0
    print("faults: checked")


main(*sys.argv[1:])
