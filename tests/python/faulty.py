"""A simulator for `task.name = "command"` that fails as its argument says, on each genome whose first gene is above 0.85.

    faulty.py MODE [FOLDER]    FOLDER keeps marks of what has been done once
"""
import json
import os
import signal
import sys
import time

mode = sys.argv[1]
folder = sys.argv[2] if len(sys.argv) > 2 else None


def once(what):
    """Whether this is the first time, over all processes."""
    try:
        os.close(os.open(os.path.join(folder, what), os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


hello = json.loads(sys.stdin.readline())
axes = [{"name": name, "lower": 0, "upper": 1} for name in "ab"]
greeting = {"illume": 2 if mode == "version" else 1, "dim": 3, "bounds": [0, 1], "descriptor": axes, "deterministic": True, "batch": 8}
if mode == "restless":
    greeting["dim"] = 3 if once("mark-greeting") else 4
say(json.dumps(greeting))
for line in sys.stdin:
    rows = json.loads(line)["genomes"]
    fitness = [-sum(x * x for x in row) for row in rows]
    descriptor = [row[1:] for row in rows]
    bad = [i for i, row in enumerate(rows) if row[0] > 0.85]
    if mode == "always":
        sys.exit("it never works")
    if bad or mode in ("chatty", "slow", "restless"):
        if mode == "nan":
            for i in bad:
                fitness[i] = float("nan")
        elif mode == "null":
            for i in bad:
                descriptor[i] = [None, 0.5]
        elif mode == "exit":
            print("Traceback (most recent call last)", file=sys.stderr)
            print("ZeroDivisionError: no mass", file=sys.stderr)
            sys.exit(3)
        elif mode == "segv":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif mode == "killed" and once("mark-killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        elif mode == "hang":
            time.sleep(1000)
        elif mode == "rubbish":
            say("the simulation of the beam has converged")
        elif mode == "rows":
            fitness.pop()
        elif mode == "endless":
            while True:
                sys.stdout.write("x" * 100_000)
        elif mode == "complaint":
            say(json.dumps({"error": "the mesh is not closed"}))
            continue
        elif mode == "chatty" and once("mark-chatty"):
            for _ in range(1000):
                sys.stderr.write("x" * 99_999 + "\n")
        elif mode == "fork":
            if os.fork() == 0:
                time.sleep(1000)
            sys.exit(1)
        elif mode in ("slow", "restless"):
            time.sleep(0.02)
    say(json.dumps({"fitness": fitness, "descriptor": descriptor}))
    if bad and mode == "stray":
        say("the simulation of the beam has converged")
    if bad and mode == "leaves":
        sys.exit(1)
