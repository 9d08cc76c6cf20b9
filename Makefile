# Each target sets itself up on a fresh machine: a virtual environment in .venv with the versions of
# constraints.txt. After that nothing is downloaded, so all of it works offline.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash

BIN := .venv/bin
CODE := supervisor tests benchmarks examples $(wildcard roles)
ARGS ?=
# The tests start a hundred processes: without compiled files each would compile all of it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run demo test check cover bench format clean help

run: .venv/.runtime  ## the main job on the simulator: several roles share one key (no key needed)
	$(BIN)/python -m supervisor run --simulate $(ARGS)

demo: .venv/.runtime  ## a goal, a team, one key: half a minute that checks itself (no key needed)
	$(BIN)/python -m examples.demo $(ARGS)

test: .venv/.dev  ## all tests, in random order (ARGS="-k quota" for some)
	$(BIN)/python -m pytest -n 4 --dist worksteal $(ARGS)

check: .venv/.dev  ## format, lint, types, layers, documented tests
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo
	$(BIN)/interrogate tests

cover: .venv/.dev  ## all tests with branch coverage; fails below the bar in pyproject.toml
	$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

bench: .venv/.dev  ## every figure the project claims, measured here
	$(BIN)/python -m benchmarks $(ARGS)

format: .venv/.dev  ## put the code into the form that check asks for
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

clean:  ## remove what these targets made; data/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
	  .coverage .coverage.* htmlcov dist .bench .demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The first Python of these that is new enough and can make virtual environments. A pyenv shim can
# exist without its Python, so each is really started; from /, where no .python-version misleads it.
.venv/bin/python:
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14; do \
	  if cd / && "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "$$python -m venv .venv"; exec "$$python" -m venv "$(CURDIR)/.venv"; fi; done; \
	echo "No Python from 3.11 on with venv found: install one (Debian: python3-venv too)," \
	  "or say make PYTHON=/path/to/python" >&2; exit 1

# Stamps, so that an environment is made once and mended when what it is made from changes.
.venv/.runtime: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/.dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ .venv/.runtime
