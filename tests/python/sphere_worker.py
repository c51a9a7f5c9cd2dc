"""The task `sphere`, bit for bit, as a worker of the Python package: sphere_worker.py json|binary DIM."""

import sys

import illume
from check_package import sphere, sphere_task

dim = int(sys.argv[2])
print("this is for the log")
illume.worker(sphere, vectorized=True, frames=sys.argv[1], batch=20, **sphere_task(dim))
