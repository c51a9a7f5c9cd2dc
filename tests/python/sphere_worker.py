"""The task `sphere`, bit for bit, as a worker of the Python package: sphere_worker.py json|binary DIM."""

import sys

import illume
from check_package import sphere, sphere_task

dim = int(sys.argv[2])


def value(genomes):
    print("this is for the log")
    return sphere(genomes)


illume.worker(value, vectorized=True, frames=sys.argv[1], batch=20, **sphere_task(dim))
