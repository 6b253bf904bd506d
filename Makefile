# `make` alone lists what can be done. Every target makes the environment it needs in .venv.
SHELL := /bin/bash
FITS := import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do $$p -c '$(FITS)' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
UV = $(shell command -v uv || echo $(BIN)/uv)
ARGS ?=
MINUTES ?= 1

.DEFAULT_GOAL := help
.PHONY: help modules setup demo test long fuzz fmt lint types bench docs lock clean

help: ## what can be done
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "make %-8s %s\n", $$1, $$2}'

modules: ## every module in one line, as its docstring begins
	@git ls-files '*.py' | grep -vE '__init__|^tests/' | xargs awk '/^"""/ && !told[FILENAME]++ {gsub(/"""/, ""); printf "%-30s %s\n", FILENAME, $$0}'

setup: $(VENV)/.ready ## make or refresh the environment in .venv (called by the others)

$(BIN)/python:
	@$(PYTHON) -c '$(FITS)' || { echo "Python 3.11 or 3.12 with venv is needed and none was found on PATH. Install one, or: make PYTHON=/path/to/python3.11 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)

# uv comes from the lock too: hashes are checked from the first download on.
$(VENV)/.synced: requirements.lock | $(BIN)/python
	@command -v uv >/dev/null || { sed -n '/^uv==/,/# via/p' requirements.lock > $(VENV)/uv.lock; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock; }
	$(UV) pip sync --quiet --python $(BIN)/python requirements.lock
	@touch $@

$(VENV)/.ready: $(VENV)/.synced pyproject.toml jgo.lock.toml headrace/stack/install.py
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	$(BIN)/python -m headrace.stack.install
	@touch $@

demo: setup ## the whole line against a simulated world: make demo ARGS="--minutes 4"
	$(BIN)/headrace demo $(ARGS)

test: setup lint types ## everything CI checks: lint, types, unit, then integration on its own stack
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -m "not stack and not long" $(ARGS)
	$(BIN)/pytest -m "stack and not long" $(ARGS)

long: setup ## tests of minutes more: whole recorded logs, models that go back, learners of arms, a training killed
	$(BIN)/pytest -m long $(ARGS)

fuzz: setup ## odd input to ingest's judge, loader, learner and serving: make fuzz MINUTES=10
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) $(ARGS)

fmt: setup ## format the code
	$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

lint: setup ## style and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports

types: setup ## static types
	$(BIN)/basedpyright

bench: setup ## one benchmark: make bench ARGS="throughput"
	$(BIN)/headrace bench $(ARGS)

docs: setup ## write docs/reference from the code, docs/freshness from its benchmark's result
	$(BIN)/headrace features reference
	$(BIN)/python -m benchmarks.studies.charts

lock: $(BIN)/python ## resolve requirements.in and jgo.toml anew
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url requirements.in -o requirements.lock
	$(BIN)/jgo --resolver python lock

clean: ## remove the environment and every stack's folder
	rm -rf $(VENV) .headrace
