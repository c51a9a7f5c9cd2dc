#!/usr/bin/env bash
# What illume.def (Apptainer) and Containerfile (Podman, Docker) do inside of their two stages, each as root:
#
#   install.sh build      in the source, on Debian with Rust: builds illume and puts it with its libraries into /opt/illume
#   install.sh run        on a bare Debian with that /opt/illume: installs what the program needs at run time, and nothing to compile with
#
# Variables, each an argument of the container's build as well:
#   FEATURES   of the program; default full (MPI, libtorch, MuJoCo)
#   MPI        openmpi (default), or mpich: for hosts whose MPI has MPICH's binary interface (MPICH, Intel MPI, MVAPICH, Cray MPICH)
#   CUDA       1: with PyTorch of the Python package index, which has CUDA (5 GB more), for --nv; default 0: for processors
#   PYTHON     packages for a Python environment in which tasks of your own run, such as "numpy gymnasium"; default none
#   COMMIT     what `illume --version` says it was built from
set -euo pipefail
home=/opt/illume
features=${FEATURES:-full} mpi=${MPI:-openmpi}
export DEBIAN_FRONTEND=noninteractive

apt_install() {
  apt-get -q update
  apt-get -q -y install --no-install-recommends "$@"
  rm -rf /var/lib/apt/lists/*
}
has() { case ",$features," in *",$1,"* | *,full,*) true ;; *) false ;; esac; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 2; }

build() {
  local here parts=system packages=(ca-certificates build-essential git pkg-config libhdf5-dev python3 python3-pip python3-venv)
  here=$(cd "$(dirname "$0")/../.." && pwd)
  cd "$here"
  case $mpi in
    openmpi | mpich) ;;
    *) die "MPI=$mpi is unknown: openmpi or mpich" ;;
  esac
  if has mpi; then packages+=(libclang-dev "lib$mpi-dev" "$([ $mpi = mpich ] && echo mpich || echo openmpi-bin)"); fi
  if has mpi && [ $mpi = mpich ]; then export MPICC=mpicc.mpich; fi
  apt_install "${packages[@]}"
  # Where the image `rust` has them; Apptainer does not take over its variables.
  if [ -d /usr/local/rustup ]; then export RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo PATH=$PATH:/usr/local/cargo/bin; fi
  command -v cargo >/dev/null || die "there is no cargo: begin from an image with Rust, such as rust:1-bookworm"
  export ILLUME_DEPS=$home/deps ILLUME_SKIP_APT=1
  if has mujoco; then parts="$parts mujoco"; fi
  if has torch; then parts="$parts torch"; fi
  if has torch && [ "${CUDA:-0}" = 1 ]; then
    python3 -m venv $home/torch
    $home/torch/bin/pip install --no-cache-dir "torch==$(sed -n 's/^torch=\([0-9.]*\).*/\1/p' tools/setup)"
    LIBTORCH=$(echo $home/torch/lib/python3*/site-packages/torch)
    export LIBTORCH
  fi
  # shellcheck disable=SC2086 # several parts
  if has mpi || has mujoco || has torch; then tools/setup $parts; fi
  ILLUME_COMMIT=${COMMIT:-} cargo build --release --features "$features"
  tools/install $home
  strip $home/bin/illume
  cp tools/container/install.sh $home/
  # Headers and what only compilers read.
  rm -rf $home/deps/libtorch-*/include $home/deps/libtch-*/*.a $home/deps/.lock
  # Debian's packages of the libraries that the program is linked with.
  ldd $home/bin/illume | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | while read -r library; do
    library=$(readlink -f "$library")
    dpkg -S "$library" "${library#/usr}" 2>/dev/null || true
  done | sed 's/:.*//' | sort -u >$home/packages
  if has mpi; then if [ $mpi = mpich ]; then echo mpich; else echo openmpi-bin; fi; fi >>$home/packages
  # A renderer without a display, for `illume replay`: newer Mesa has no OSMesa.
  if has mujoco; then
    apt-get -q update
    if apt-cache show libosmesa6 >/dev/null 2>&1; then echo libosmesa6; else printf '%s\n' libegl1 libgl1-mesa-dri; fi >>$home/packages
  fi
  rm -rf target
}

run() {
  local packages
  mapfile -t packages <$home/packages
  if [ -n "${PYTHON:-}" ]; then packages+=(python3 python3-venv); fi
  apt_install "${packages[@]}" ca-certificates
  if [ -n "${PYTHON:-}" ]; then
    python3 -m venv $home/python
    # shellcheck disable=SC2086 # several packages
    $home/python/bin/pip install --no-cache-dir $PYTHON
  fi
  $home/bin/illume --version
}

case ${1:-} in
  build | run) "$1" ;;
  *) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
