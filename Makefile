# `make` or `make help` lists what there is to do. Everything sets itself up:
# a virtual environment in .venv, and caches outside the repository
# ($XDG_CACHE_HOME/trainyard) that the next run, or the next clone, uses again.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NEXT := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/trainyard/next-mlflow
CLUSTER := $(BIN)/python -m trainyard_cluster
KUBECONFIG_FILE = $(shell $(CLUSTER) kubeconfig)

.DEFAULT_GOAL := help
.PHONY: help venv cluster images install quickstart down clean fmt lint types contracts generate \
	next-mlflow test test-unit test-apiserver test-clients test-postgres test-stores test-chart test-docs test-e2e \
	bench-operator bench-load bench-apiserver bench-tracking

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | \
		awk 'BEGIN {FS = ":.*## "} {printf "  \033[36m%-16s\033[0m %s\n", $$1, $$2}'

venv: $(VENV)/.ready ## Make the virtual environment with all that development needs

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Trainyard needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "==> Virtual environment in $(VENV) (about a minute the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -e '.[dev]'
	@touch $@

cluster: venv ## Make the local cluster (20 minutes from nothing, half a minute with caches)
	@$(CLUSTER) up

images: cluster ## Build the images and load them into the local cluster
	@$(CLUSTER) images

install: images ## Install the chart on the local cluster
	@$(CLUSTER) install

quickstart: images ## From nothing to a trained, promoted, served, monitored model
	@$(CLUSTER) quickstart

down: venv ## Remove the local cluster; images and caches stay for the next one
	@$(CLUSTER) down

clean: venv ## Remove the local cluster, its images and its caches
	@$(CLUSTER) down --all

fmt: venv ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix-only --quiet .

lint: venv ## Lint, check formatting, sizes and generated files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/python -m trainyard_api.generate --check

types: venv ## Check types
	@$(BIN)/mypy
	@for each in apiserver load operator tracking; do MYPYPATH=bench/common:bench/load:bench/$$each:tests \
		$(BIN)/mypy --explicit-package-bases --follow-imports=silent bench/common/*.py bench/$$each/*.py || exit 1; done

contracts: venv ## Check who imports whom
	@$(BIN)/lint-imports

generate: venv ## Write the CRDs, the chart's copies of them and the reference
	@$(BIN)/python -m trainyard_api.generate

test: lint types contracts images ## All tests: lint, types, contracts, unit, API server, chart, docs, cluster
	@echo "==> Tests: the cluster's on one worker, all others on another (about 20 minutes)"
	@$(BIN)/pytest tests --numprocesses=2 --no-loadscope-reorder --cov --cov-report=term:skip-covered

test-unit: venv ## The tests that need nothing else, in minutes
	@$(BIN)/pytest tests/unit

test-apiserver: venv ## The CRDs on a real API server
	@$(BIN)/pytest tests/apiserver

test-stores: venv ## The object store's use, on real ones
	@$(BIN)/pytest tests/stores

# Each minor's highest patch, as the index has it today; the environments stay in the cache.
test-clients: venv ## Unmodified MLflow clients of four minors on one service, as a person and in a Run (15 minutes)
	@$(BIN)/python tests/clients/environments.py
	@echo "==> The same program by each, as a person and as the code of a Run (a minute each)"
	@$(BIN)/pytest tests/clients

test-chart: venv ## The chart, rendered
	@$(BIN)/pytest tests/chart

test-docs: venv ## Docs say what the code does
	@$(BIN)/pytest tests/docs

test-postgres: images ## The examples and the faults, with the tracking service on a PostgreSQL (25 minutes)
	@$(CLUSTER) images postgres && $(CLUSTER) install
	@$(BIN)/python tests/on_cluster/postgres.py && TRAINYARD_VALUES=$(CURDIR)/tests/on_cluster/postgres-values.yaml \
		$(BIN)/pytest tests/e2e

# MLflow brings a minor a month. Only itself is replaced: the packages it comes with may lag behind.
next-mlflow: venv ## Try the service on MLflow's newest release: imports, routes, the registry, scoring (5 minutes)
	@$(PYTHON) -m venv $(NEXT) && $(BIN)/uv pip install --quiet --python $(NEXT)/bin/python -e '.[dev]'
	@$(BIN)/uv pip install --quiet --no-deps --upgrade --python $(NEXT)/bin/python mlflow
	@$(NEXT)/bin/python -W ignore -c 'import mlflow; print("==> MLflow", mlflow.__version__)'
	@$(NEXT)/bin/pytest tests/unit/tracking tests/docs/test_docs_scoring.py -q

test-e2e: images ## The examples and the faults, on the local cluster
	@$(BIN)/pytest tests/e2e

bench-operator: install ## 500 Runs on fake nodes against as many bare Jobs
	@$(BIN)/python bench/operator/run.py

bench-load: install ## The operator with 1,000 Runs live, without tracking, without a leader (an hour)
	@$(BIN)/python bench/load/run.py all

bench-tracking: install ## 60 clients, files of 10 GiB, searches and a publish at once (15 minutes)
	@$(BIN)/python bench/tracking/run.py

bench-apiserver: venv ## What a Run's requests cost the API server (5 minutes, needs no cluster)
	@$(BIN)/python bench/apiserver/run.py
