# The two that matter: `make run` shows the whole job, `make test` checks everything.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test check unit bench lock clean

help: ## what there is to make
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

run: $(VENV)/run.stamp ## the demo: an awkward legacy endpoint, the gateway before it, a stand-in for the platform
	@$(BIN)/gateway demo

test: check unit ## all checks and all tests

check: $(VENV)/dev.stamp ## lint, format, types, direction of the house, unused dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

# The decision rooms run under branch coverage, the rest side by side.
unit: $(VENV)/dev.stamp
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q tests/lead tests/answers tests/datapost $(PYTEST_ARGS)
	$(BIN)/coverage report
	$(BIN)/pytest -n 2 --ignore=tests/lead --ignore=tests/answers --ignore=tests/datapost $(PYTEST_ARGS)

bench: $(VENV)/dev.stamp ## microseconds of CPU a lead, beside the peers that are installed
	$(BIN)/python bench/ours.py

lock: ## resolve the versions anew (needs uv)
	uv pip compile -q --universal --generate-hashes --no-header --no-annotate pyproject.toml -o requirements.lock
	uv pip compile -q --universal --generate-hashes --no-header --no-annotate pyproject.toml --extra postgres --group dev -o requirements-dev.lock

clean: ## remove what was made
	rm -rf $(VENV) dist var .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; $(PYTHON) is older. Say which: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "No virtual environment could be made. On Debian: apt-get install python3-venv"; exit 1; }

$(VENV)/run.stamp: $(BIN)/python requirements.lock pyproject.toml
	@echo "Setting up $(VENV) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.lock
	@echo "Setting up the tools for tests …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
