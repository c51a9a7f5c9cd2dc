"""A planar arm as a program of your own: plain Python, one line of JSON for each request."""
import json
import math
import sys

# Standard output belongs to illume. What the simulator prints goes to standard error, which illume keeps in program-0.log.
answers, sys.stdout = sys.stdout, sys.stderr


def simulate(genome, seed):
    """Fitness and descriptor of a genome: the arm's joints should be bent alike; where does its hand end?"""
    n = len(genome)
    mean = sum(genome) / n
    angle = x = y = 0.0
    for gene in genome:
        angle += 2 * math.pi * gene - math.pi
        x += math.cos(angle) / n
        y += math.sin(angle) / n
    spread = math.sqrt(sum((gene - mean) ** 2 for gene in genome) / n)
    return -spread, [0.5 + 0.5 * x, 0.5 + 0.5 * y]


def say(answer):
    print(json.dumps(answer), file=answers, flush=True)


hello = json.loads(sys.stdin.readline())  # what the configuration says: {"illume": 1, "dim": 12, "arguments": {...}, ...}
say({
    "illume": 1,
    "dim": hello["dim"] or 12,
    "bounds": [0, 1],
    "descriptor": [{"name": "x", "lower": 0, "upper": 1}, {"name": "y", "lower": 0, "upper": 1}],
    "fitness": "minus the standard deviation of the genes",
    "qd_offset": 0.5,
    "deterministic": True,
    "batch": 16,
})
for line in sys.stdin:
    request = json.loads(line)
    scores = [simulate(genome, seed) for genome, seed in zip(request["genomes"], request["seeds"])]
    say({"fitness": [fitness for fitness, _ in scores], "descriptor": [descriptor for _, descriptor in scores]})
