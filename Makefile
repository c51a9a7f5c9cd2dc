# `make` prints what there is to do. Variables that may be given: RANKS=4 (processes of the demo), MPIRUN="srun --mpi=pmix".

RANKS ?= 2
MPIRUN ?= mpirun
FULL := --features $(or $(FEATURES),full)
# What set-up gets for FEATURES; with none given all but what is under the GPL 2.0.
comma := ,
WITH := $(subst $(comma), ,$(FEATURES))
PARTS := $(if $(WITH),system $(filter mujoco torch atari,$(WITH)) python)
# With Atari, which is under the GPL 2.0: for the tests, the games' demo and the benchmarks.
GAMES := --features full,atari

# What mpirun needs on a laptop, in a container and in CI. A cluster's own launcher and settings take precedence.
# Open MPI 4 reads OMPI_MCA_*, Open MPI 5 reads PRTE_MCA_* for where processes go; MPICH needs none of it.
# More processes than cores, for the tests:
export OMPI_MCA_rmaps_base_oversubscribe ?= 1
export PRTE_MCA_rmaps_default_mapping_policy ?= :oversubscribe
# All cores for each process, since each has threads; the default is one core:
export OMPI_MCA_hwloc_base_binding_policy ?= none
export PRTE_MCA_hwloc_default_binding_policy ?= none
# No warning where a container forbids one process to read another's memory:
export OMPI_MCA_btl_vader_single_copy_mechanism ?= none
ifeq ($(shell id -u),0)
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1
endif

.PHONY: help setup setup-atari build demo demo-atari demo-essa docs test test-slurm bundle static install bench lint clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 14

setup:  ## get the native libraries and tell cargo where they are (tools/setup --help says more)
	@tools/setup $(PARTS)

setup-atari:  ## the same, with the Arcade Learning Environment and its games (GPL 2.0)
	@tools/setup system mujoco torch python atari

build: setup  ## build target/release/illume with MPI, MuJoCo and libtorch (FEATURES=mpi,mujoco,lm: what needs no GPU, without libtorch)
	ILLUME_COMMIT=$$(git describe --always --dirty 2>/dev/null) cargo build --release $(FULL)

demo: build  ## fill an archive on RANKS=2 processes and plot it, under a new folder in runs/
	@set -e; dir=runs/demo; n=1; while [ -e $$dir ]; do n=$$((n + 1)); dir=runs/demo-$$n; done; \
	$(MPIRUN) -n $(RANKS) target/release/illume run experiments/demo.toml --out $$dir; \
	target/release/illume plot $$dir -o $$dir/archive.png; \
	echo; \
	echo "archive   $$dir/archive.h5    (h5py, xarray, HDFView; target/release/illume info $$dir)"; \
	echo "plot      $$dir/archive.png"; \
	echo "next      copy experiments/demo.toml, change it, and run it the same way:"; \
	echo "          $(MPIRUN) -n $(RANKS) target/release/illume run my.toml --out runs/my"; \
	echo "          target/release/illume list says what there is to choose from."

demo-atari: setup-atari  ## evolve players of Frostbite from pixels on RANKS=2 processes and film the best, in runs/
	ILLUME_COMMIT=$$(git describe --always --dirty 2>/dev/null) cargo build --release $(GAMES)
	@set -e; dir=runs/demo_atari; n=1; while [ -e $$dir ]; do n=$$((n + 1)); dir=runs/demo_atari-$$n; done; \
	$(MPIRUN) -n $(RANKS) target/release/illume run experiments/demo_atari.toml --out $$dir; \
	awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$$i] = i } END { printf "%.0f frames in %.0f s: %.0f frames/s\n", \
	  $$at["frames"], $$at["wall_seconds"], $$at["frames"] / $$at["wall_seconds"] }' $$dir/history.csv; \
	target/release/illume replay $$dir -o $$dir/elite.gif; \
	target/release/illume replay $$dir -o $$dir/elite.png; \
	echo; \
	echo "archive   $$dir/archive.h5    (lineages; target/release/illume info $$dir)"; \
	echo "film      $$dir/elite.gif     (the elite's episode)"; \
	echo "strip     $$dir/elite.png     (pictures of it side by side)"; \
	echo "next      $(MPIRUN) -n $(RANKS) target/release/illume run experiments/atari_frostbite_deep_ga.toml    (the paper's settings)"; \
	echo "          target/release/illume list atari names the other games."

demo-essa: build  ## adapt a real language model (SmolLM2-135M, 90 MB) by examples and by ESSA on RANKS=2 processes, in runs/
	@tools/setup smollm2
	@set -e; dir=runs/demo_essa; n=1; while [ -e $$dir ]; do n=$$((n + 1)); dir=runs/demo_essa-$$n; done; mkdir -p $$dir; \
	model=$$(sed -n "s/^ILLUME_SMOLLM2_DIR = '\(.*\)'/\1/p" .cargo/config.toml)/SmolLM2-135M-Instruct.Q4_1.gguf; \
	at="--set task.model=$$model --set task.adapter=$$dir/sft"; config=experiments/demo_essa.toml; \
	accuracy() { printf '%-12s' "$$1"; shift; target/release/illume lm answer "$$@" --show 0 | sed -n 's/^mean reward *\([0-9.]* ± [0-9.]*\).*/accuracy on 256 unseen sums  \1/p'; }; \
	echo "1. the model as it is"; \
	target/release/illume lm answer $$config $$at --base --show 2 --cases 2; \
	echo; echo "2. a short warm start: an adapter begins to learn from examples how the task wants its answers (half a minute)"; \
	target/release/illume lm sft $$config $$at --set task.precision=f32 --steps 6 --batch 32 --warmup 3 --learning-rate 2e-3; \
	echo; echo "3. ESSA: 480 singular values of that adapter (4 to 5 minutes)"; \
	$(MPIRUN) -n $(RANKS) target/release/illume run $$config $$at --out $$dir/run; \
	target/release/illume export $$dir/run --adapter $$dir/adapter; \
	target/release/illume plot $$dir/run -o $$dir/run.png; \
	echo; accuracy "model" $$config $$at --base; accuracy "warm start" $$config $$at; accuracy "ESSA" $$dir/run --elite solution; \
	echo; echo "The same sums, answered by the warm start and by ESSA's result:"; \
	target/release/illume lm answer $$config $$at --show 3 --cases 3; target/release/illume lm answer $$dir/run --elite solution --show 3 --cases 3; \
	echo; \
	echo "adapter   $$dir/adapter    (PEFT loads it on the folder that 'illume lm import $$model --out DIR' writes)"; \
	echo "plot      $$dir/run.png    (mean reward and validation against tokens)"; \
	echo "next      experiments/essa_gsm8k.toml says how to do the same with Qwen2.5 and GSM8K."

docs: $(if $(ILLUME),,build)  ## the documentation as a book with search, in target/book; its page of the command line is written anew (ILLUME=program)
	@tools/setup python
	@$$(sed -n "s/^ILLUME_PYTHON = '\(.*\)'/\1/p" .cargo/config.toml) tools/book build --illume $(or $(ILLUME),target/release/illume)

# Without any feature it is built by the Python package's tests.
test:  ## every test of every crate, and a build with language models but without libtorch
	@tools/setup system mujoco torch python atari browser languages
	cargo check --profile ci --features lm
	cargo test --profile ci --workspace $(GAMES),parquet --doc
	cargo test --profile ci --workspace $(GAMES),parquet --tests

test-slurm: $(if $(ILLUME),,build)  ## illume submit on a real Slurm that is started here: preempted and requeued jobs (some minutes; ILLUME=program)
	@tools/test_slurm

bundle: setup  ## pack illume and its libraries for machines without a compiler (on GPUs with PyTorch 2.11), in target/bundle (FEATURES=torch,mujoco)
	@tools/bundle $(if $(FEATURES),--features "$(FEATURES)")

static:  ## a program of one file for any Linux, without MPI, robots and libtorch: target/static/illume
	@tools/setup static
	@tools/static

install:  ## put the program, examples and a module file for Lmod into PREFIX=/a/folder (MODULES="openmpi/4.1.4"; PROGRAM=program)
	@tools/install "$(PREFIX)" "$(or $(PROGRAM),target/release/illume)" $(MODULES)

bench: setup-atari build  ## the benchmarks, as tables: archives, engine, learning, tasks, robots, games, language models, ranks and threads
	cargo bench -p illume-archives --bench archive
	cargo bench -p illume-core --bench noise
	cargo bench -p illume-benches --bench engine --bench longest_first --bench sweep
	cargo bench -p illume-strategies --bench learn --bench cma
	cargo bench -p illume-benches --features mujoco --bench gradients
	cargo bench -p illume-envs --features mujoco,atari --bench envs --bench mujoco --bench pixels --bench atari
	cargo bench -p illume-lm --features torch --bench lm --bench train
	cargo bench -p illume-cluster --features mpi --bench fork_join --bench comm

lint: setup  ## formatting, clippy and the documentation, warnings being errors
	cargo fmt --all --check
	cargo clippy --profile ci --workspace --all-targets $(FULL) -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --profile ci --workspace --no-deps $(FULL)

clean:  ## remove what was built; runs/ and the downloaded libraries stay
	cargo clean
