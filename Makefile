# Each target bootstraps what it needs: `make demo` and `make test` are enough on a machine with Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help demo test check bench lock clean
help:
	@echo "make demo | test | check | bench"

# The stamp is newer than the lock and the project file when the environment is up to date.
READY := $(VENV)/.ready
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Habit needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@# The lock is complete: nothing is resolved, so a release of tomorrow changes nothing.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

demo: $(READY)
	@$(BIN)/python examples/demo.py

test: $(READY)
	$(BIN)/python -m pytest -n auto --dist loadgroup

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/amortisation.py --latency 0.3

# Needs uv; the lock covers every supported Python, with hashes, for all extras that the tests and the demo use.
lock:
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --extra local --extra docs --extra parquet --extra bench --group dev --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
