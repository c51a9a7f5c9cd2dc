"""Shared libraries that a program needs, for `bundle` and `gpu_check`."""

import re
import shutil
import subprocess
from pathlib import Path

# What every Linux with PyTorch has: glibc, the C++ runtime, and what PyTorch's wheel holds itself.
THERE = r"lib(torch\w*|c10\w*|cudart|cupti|gomp|stdc\+\+|gcc_s|(c|m|dl|pthread|rt|resolv|util)\.so)|ld-linux"


def carry(programs, folder, root):
    """Copies, stripped, what the programs need beyond `THERE` into `folder`; returns where each came from."""
    origin = {}
    if lazy := libtch(root):
        shutil.copy(lazy, folder / lazy.name)
    for program in programs:
        told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        missing = re.findall(r"(\S+) => not found", told)
        if missing:
            raise SystemExit(f"{program} needs {', '.join(missing)}, which this machine does not find")
        for name, path in re.findall(r"(\S+) => (/\S+)", told):
            if not re.match(THERE, name) and name not in origin:
                origin[name] = Path(path)
                shutil.copy(path, folder / name)
                subprocess.run(["strip", folder / name], stderr=subprocess.DEVNULL)
    return origin


def libtch(root):
    """tch's C++ part, which a program loads with libtorch (`tools/lazy_tch`); none where it is linked."""
    found = re.search(r"^rustc-link-search = \['native=(.*)'\]$", (root / ".cargo/config.toml").read_text(), re.M)
    return Path(found[1]) / "libtch.so" if found else None


def cargo_settings(root):
    """The variables that `make setup` wrote."""
    text = (root / ".cargo/config.toml").read_text()
    return dict(re.findall(r"^(\w+) = '(.*)'$", text, re.M))
