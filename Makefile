# `make demo` and `make test` do all the set-up themselves on a machine with Python 3.11 or later.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-all soak bench suite lint format docs clean

demo: .venv/installed
	@$(BIN)/inkontext edit examples/friends.png "change the background to a beach" --seed 1 --out out/demo.png
	@echo "Before: examples/friends.png   After: out/demo.png"

test: .venv/installed-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-all: .venv/installed-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal -m ""

# Ten runs of the suite beside a busy loop on every core; hours.
soak: .venv/installed-dev
	$(BIN)/python -m benchmarks.soak --runs 10 --json benchmarks/results/soak.json

bench: .venv/installed-dev
	@mkdir -p benchmarks/results
	$(BIN)/python -m benchmarks.parity --json benchmarks/results/parity.json
	$(BIN)/python -m benchmarks.alignment --json benchmarks/results/alignment.json
	$(BIN)/python -m benchmarks.promises --json benchmarks/results/promises.json
	$(BIN)/python -m benchmarks.load_memory --json benchmarks/results/load_memory.json
	$(BIN)/python -m benchmarks.cli_start --json benchmarks/results/cli_start.json

# Every evaluation on a small bench made on the fly; reports in out/suite.
suite: .venv/installed-dev
	$(BIN)/python -m benchmarks.suite --model tiny --rows 40 --out out/suite

lint: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

format: .venv/installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: .venv/installed-dev
	$(BIN)/mkdocs build --strict

clean:
	rm -rf .venv out site dist build .pytest_cache .ruff_cache .hypothesis

# PyTorch first and pinned: an open range would take the newest build with gigabytes of CUDA packages.
.venv/torch: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "InKontext needs Python 3.11 or later: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(PIP) torch
	@touch $@

.venv/installed: .venv/torch pyproject.toml
	$(PIP) -e .
	@touch $@

.venv/installed-dev: .venv/installed pyproject.toml
	$(PIP) -e '.[dev]'
	@touch $@
