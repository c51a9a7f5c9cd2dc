#!/usr/bin/env python3
"""ESSA, GRPO and EGGROLL from the same warm starts of a real model, at equal tokens: the table 'On a real model' of docs/results.md.

    tools/compare_lm.py --model FILE.gguf --out DIR [--illume target/release/illume] [--device cuda] [--jobs 4] [--minutes 10]

The task is sums of two numbers of one or two digits, answered as lm/arithmetic wants it, in four splits without a common sum: `warm` for the
warm starts, `train`, `tune` to choose each strategy's parameters on, `test` for what is reported. What is done, each step only where its result
is not in DIR yet:

  1. the model alone and `--warm` warm starts of --steps steps, and of twenty more, answer `test`;
  2. every try of each strategy's list (as many for each) runs from the first warm start, and the one whose search distribution's mean, or
     center, is best on `tune` at the end is taken;
  3. one run of it alone on the machine, for the time that a generation takes;
  4. it runs from every warm start with every seed, and `test` is answered along the way.

`--minutes` bounds it: what has not begun by then is left out. report.json has every curve; the table is printed. Runs are independent processes,
`--jobs` of them at once.
"""

import argparse
import concurrent.futures
import csv
import json
import os
import random
import re
import statistics
import subprocess
import time
from pathlib import Path

PROMPT, ANSWER = 34, 18  # tokens of a prompt with its template and of an answer, to make budgets of generations from tokens

ESSA = {"name": "essa", "task": {"search": "singular_values"}, "rows": lambda s: s["strategy.population"] * s["task.batch"]}
GRPO = {"name": "grpo", "task": {"search": "adapters", "temperature": 1.0}, "rows": lambda s: s["strategy.group"] * s["task.batch"]}
EGGROLL = {"name": "eggroll", "task": {"search": "weights"}, "rows": lambda s: s["strategy.population"] * s["task.batch"]}

TRIES = {
    "essa": [
        {"strategy.population": p, "task.batch": b, "strategy.sigma": s, "task.alpha": a}
        for p, b, s, a in [
            (32, 64, 0.3, 1.0), (64, 32, 0.5, 1.0), (32, 64, 1.0, 1.0), (64, 32, 0.5, 0.5),
            (16, 32, 0.3, 1.0), (16, 32, 0.3, 0.25), (32, 32, 0.1, 1.0), (32, 32, 1.0, 1.0),
        ]
    ],
    "grpo": [
        {"strategy.group": g, "task.batch": b, "strategy.learning_rate": r}
        for g, b, r in [
            (8, 32, 1e-3), (16, 64, 1e-3), (8, 32, 2e-3), (16, 32, 5e-4),
            (8, 16, 3e-4), (8, 16, 1e-3), (8, 16, 3e-3), (8, 64, 1e-3),
        ]
    ],
    "eggroll": [
        {"strategy.population": p, "task.batch": b, "strategy.sigma": s, "strategy.learning_rate": r}
        for p, b, s, r in [
            (64, 32, 1e-3, 1e-3), (64, 32, 2e-3, 2e-3), (64, 32, 1e-3, 3e-3), (64, 32, 3e-3, 1e-3),
            (64, 32, 3e-3, 3e-3), (128, 16, 1e-3, 1e-3), (128, 16, 2e-3, 3e-3), (64, 32, 3e-4, 1e-3),
        ]
    ],
}
STRATEGIES = {s["name"]: s for s in [ESSA, GRPO, EGGROLL]}


def write_data(folder, test):
    """Sums of two numbers by split; a sum and its other order are in the same."""
    rng = random.Random(1)
    pairs = [(a, b) for a in range(1, 100) for b in range(a, 100)]
    rng.shuffle(pairs)
    bounds = {"test": 0.35, "tune": 0.5, "warm": 0.6, "train": 1.0}
    split_of = {pair: next(n for n, b in bounds.items() if i < b * len(pairs)) for i, pair in enumerate(pairs)}
    wanted = {"test": test, "tune": test // 2, "warm": 256, "train": 2000}
    cases = {name: {} for name in wanted}
    number = lambda: rng.randint(1, 9) if rng.random() < 0.5 else rng.randint(10, 99)
    for _ in range(1_000_000):
        a, b = number(), number()
        name = split_of[min(a, b), max(a, b)]
        mine = cases[name]
        if len(mine) < wanted[name]:
            mine[a, b] = None
        if all(len(cases[n]) == wanted[n] for n in cases):
            break
    for name, mine in cases.items():
        lines = [{"prompt": f"What is {a} + {b}?", "answer": str(a + b), "solution": f"{a} + {b} = {a + b}\n#### {a + b}"} for a, b in mine]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(l) + "\n" for l in lines))


def by_strategy(text):
    """`2e6`, or `essa=2e6,grpo=2e5`."""
    given = dict(word.split("=") for word in text.split(",")) if "=" in text else dict.fromkeys(STRATEGIES, text)
    return {name: float(tokens) for name, tokens in given.items()}


class Comparison:
    def __init__(self, words):
        self.words, self.out = words, words.out.resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.illume = str(words.illume.resolve())
        self.start = time.monotonic()
        self.tokens = by_strategy(words.tokens)
        self.environment = dict(os.environ, RAYON_NUM_THREADS=str(words.threads), OMP_NUM_THREADS="1", ILLUME_MPI="off")
        if not (self.out / "test.jsonl").exists():
            write_data(self.out, words.test)
        # Written once: runs that go on at the same time read them.
        for name, strategy in STRATEGIES.items():
            task = {**strategy["task"], "rank": words.rank, "sft_share": 0.0, "solution": "solution", "reward": "regex",
                    "pattern": r"####\s*(-?\d+)", "max_new_tokens": 24}
            lines = ["[task]", 'name = "lm/jsonl"', *(f"{k} = {json.dumps(v)}" for k, v in task.items())]
            self.config(name).write_text("\n".join([*lines, "[strategy]", f'name = "{name}"', ""]))

    def left(self):
        return self.words.minutes * 60 - (time.monotonic() - self.start)

    def task(self, adapter, split, **more):
        """`--set` words of a task whose validation split is `split`."""
        sets = {
            "task.model": str(self.words.model.resolve()), "task.adapter": str(adapter), "task.data": str(self.out / "train.jsonl"),
            "task.validation_data": str(self.out / f"{split}.jsonl"), "task.device": self.words.device, "task.precision": self.words.precision, **more,
        }
        if self.words.slots:
            sets["task.slots"] = self.words.slots
        return [w for key, value in sets.items() for w in ("--set", f"{key}={json.dumps(value)}")]

    def config(self, strategy):
        return self.out / f"{strategy}.toml"

    def call(self, name, words):
        start = time.monotonic()
        try:
            done = subprocess.run([self.illume, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                  env=self.environment, timeout=max(5.0, self.left() + 5))
        except subprocess.TimeoutExpired:
            print(f"NO TIME LEFT for {name}", flush=True)
            return None
        (self.out / f"{name}.log").write_text(done.stdout)
        if done.returncode != 0:
            print(f"FAILED {name}: {' | '.join(done.stdout.strip().splitlines()[-3:])}"[:700], flush=True)
            return None
        return done.stdout, time.monotonic() - start

    def warm(self, seed, steps):
        name = f"warm-{seed}-{steps}"
        if not (self.out / name / "adapter_config.json").exists():
            sets = self.task("", "test", **{"task.data": str(self.out / "warm.jsonl"), "task.sft_share": 0.99})
            more = ["--out", str(self.out / name), "--steps", str(steps), "--batch", "32", "--learning-rate", str(self.words.warm_rate), "--warmup", "5", "--seed", str(seed), "--force"]
            if not self.call(name, ["lm", "sft", str(self.config("essa")), *sets, *more]):
                return None
        return self.answer(name, self.out / name, [])

    def answer(self, name, adapter, more):
        """Accuracy on `test`."""
        path = self.out / f"{name}.accuracy"
        if not path.exists():
            done = self.call(f"{name}-answer", ["lm", "answer", str(self.config("essa")), *self.task(adapter, "test"), "--show", "3", *more])
            found = re.search(r"mean reward\s+(\S+)", done[0]) if done else None
            if not found:
                return None
            path.write_text(found[1])
        return float(path.read_text().rstrip(","))

    def run(self, name, strategy, warm, seed, split, sets, tokens):
        """A run's curve: (generation, rows so far, seconds, validation) at each validation."""
        folder = self.out / name
        rows = STRATEGIES[strategy]["rows"](sets)
        generations = max(2, round(tokens / (rows * (PROMPT + ANSWER))))
        if not (folder / "done").exists():
            if self.left() < 5:
                return None
            interval = max(1, generations // self.words.points)
            # So that the last generation is one that is validated.
            generations -= generations % interval
            more = {"strategy.validation_interval": interval, **sets, "seed": seed, "budget.generations": generations, "output.dir": str(folder)}
            start = ["run", str(self.config(strategy)), *self.task(self.out / f"warm-{warm}-{self.words.steps}", split, **more), "--resume"]
            if not self.call(name, start):
                return None
            # An elite of EGGROLL is a whole model.
            for file in folder.glob("*.h5") if strategy == "eggroll" else []:
                file.unlink()
            (folder / "done").touch()
        with open(folder / "history.csv") as file:
            history = list(csv.DictReader(file))
        curve = [[int(r["generation"]), int(r["generation"]) * rows, float(r["wall_seconds"]), float(r["validation"])] for r in history]
        return {"strategy": strategy, "warm": warm, "seed": seed, "sets": sets, "rows": rows, "curve": curve, "last": history[-1]}

    def all(self, jobs):
        """Calls in parallel, in order; None for what failed or was not begun in time."""
        with concurrent.futures.ThreadPoolExecutor(self.words.jobs) as pool:
            return list(pool.map(lambda job: job() if self.left() > 5 else None, jobs))


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--model", required=True, type=Path)
    words.add_argument("--out", required=True, type=Path)
    words.add_argument("--illume", default=Path("target/release/illume"), type=Path)
    words.add_argument("--device", default="cpu")
    words.add_argument("--precision", default="f32")
    words.add_argument("--jobs", default=1, type=int)
    words.add_argument("--threads", default=2, type=int, help="of each run")
    words.add_argument("--slots", default=0, type=int)
    words.add_argument("--minutes", default=600.0, type=float)
    words.add_argument("--tokens", default="2e6", help="of a run, prompts counted; by strategy: essa=2e6,grpo=2e5")
    words.add_argument("--tune-tokens", default=1e6, type=float)
    words.add_argument("--tries", default=8, type=int, help="of each strategy's list, to choose from")
    words.add_argument("--strategies", default="essa,grpo,eggroll")
    words.add_argument("--seeds", default=5, type=int)
    words.add_argument("--test", default=512, type=int, help="sums to test on")
    words.add_argument("--warm", default=3, type=int)
    words.add_argument("--steps", default=20, type=int, help="of a warm start")
    words.add_argument("--warm-rate", default=2e-3, type=float)
    words.add_argument("--rank", default=2, type=int)
    words.add_argument("--points", default=8, type=int, help="validations along a run")
    words.add_argument("--chosen", default="", help="parameters of each strategy as JSON, in place of tries: a report.json's 'chosen'")
    words = words.parse_args()
    c = Comparison(words)
    names = words.strategies.split(",")
    report = {"words": {k: str(v) for k, v in vars(words).items()}}
    write = lambda: (c.out / "report.json").write_text(json.dumps(report))

    jobs = [lambda: c.answer("base", "", ["--base"])]
    for steps in [words.steps, words.steps + 20]:
        jobs += [lambda w=w, s=steps: c.warm(w, s) for w in range(1, words.warm + 1)]
    base, *warm = c.all(jobs)
    report["base"], report["warm"], report["longer"] = base, warm[: words.warm], warm[words.warm :]
    print(f"{c.left():.0f} s left; model {base}, warm starts {report['warm']}, with twenty more steps {report['longer']}", flush=True)
    write()

    chosen = {name: sets for name, sets in json.loads(words.chosen or "{}").items() if name in names}
    tries = [(n, i, s) for i in range(words.tries) for n in names if n not in chosen for s in [TRIES[n][i]]]
    done = c.all([lambda n=n, i=i, s=s: c.run(f"try-{n}-{i}", n, 1, 101, "tune", s, words.tune_tokens) for n, i, s in tries])
    report["tries"] = [d for d in done if d]
    write()
    for name in names:
        mine = [d for d in report["tries"] if d["strategy"] == name]
        for d in mine:
            print(f"  {name} {d['sets']}: {d['curve'][0][3]:.3f} -> {d['curve'][-1][3]:.3f} in {d['curve'][-1][2]:.0f} s", flush=True)
        if mine:
            chosen[name] = max(mine, key=lambda d: d["curve"][-1][3])["sets"]
    report["chosen"] = chosen
    print(f"{c.left():.0f} s left; chosen: {json.dumps(chosen)}", flush=True)
    write()

    report["alone"] = {}
    for name in chosen:
        rows = STRATEGIES[name]["rows"](chosen[name])
        alone = c.run(f"alone-{name}", name, 1, 1, "tune", {**chosen[name], "strategy.validation_interval": 0}, rows * (PROMPT + ANSWER) * 5)
        if alone:
            seconds = [row[2] for row in alone["curve"]]
            report["alone"][name] = statistics.median(b - a for a, b in zip(seconds[:-1], seconds[1:-1]))
    print(f"{c.left():.0f} s left; seconds a generation alone: {report['alone']}", flush=True)
    write()

    runs = [(n, w, s) for w in range(1, words.warm + 1) for s in range(1, words.seeds + 1) for n in chosen]
    done = c.all([lambda n=n, w=w, s=s: c.run(f"run-{n}-{w}-{s}", n, w, s, "test", chosen[n], c.tokens[n]) for n, w, s in runs])
    report["runs"] = [d for d in done if d]
    write()
    table(report, chosen, c)


def table(report, chosen, c):
    print(f"{c.left():.0f} s left\n\n| warm start | accuracy | " + " | ".join(chosen) + " | twenty more steps |\n|---|---|" + "---|" * (len(chosen) + 1))
    for w, accuracy in enumerate(report["warm"], 1):
        cells = []
        for name in chosen:
            ends = sorted(100 * d["curve"][-1][3] for d in report["runs"] if d["strategy"] == name and d["warm"] == w)
            cells.append(f"{statistics.median(ends):.1f} [{ends[0]:.1f}, {ends[-1]:.1f}] n={len(ends)}" if ends else "")
        percent = lambda share: "" if share is None else f"{100 * share:.1f}"
        print(f"| {w} | {percent(accuracy)} | " + " | ".join(cells) + f" | {percent(report['longer'][w - 1])} |")
    print(f"\nseconds a generation alone: {report['alone']}")


if __name__ == "__main__":
    main()
