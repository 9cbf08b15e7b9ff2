# The two commands of a newcomer: `make demo` and `make test`. Everything goes into .venv; nothing else is touched.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint check docs fuzz peers lock clean

help: ## list these targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml requirements.lock | $(VENV)/bin/python
	$(PIP) install --quiet --constraint requirements.lock --editable '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml requirements.lock | $(VENV)/bin/python
	$(PIP) install --quiet --constraint requirements.lock --editable '.[dev]'
	$(PIP) install --quiet --no-deps facenet-pytorch==2.6.0  # an oracle for the tests; its pins are years old
	@touch $@ $(VENV)/.demo

setup: $(VENV)/.dev ## create .venv with everything that development needs

demo: $(VENV)/.demo ## detect, enrol and identify a real face; writes runs/demo/*.png
	$(BIN)/vultus demo --output runs/demo

test: $(VENV)/.dev ## every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)  # a thread for each of two workers

lint: $(VENV)/.dev ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

check: lint test ## what must be green before every commit

fuzz: $(VENV)/.dev ## thousands of requests made from the OpenAPI document, right and wrong ones
	OMP_NUM_THREADS=1 $(BIN)/python tests/server/openapi_run.py --cases-per-route 100

docs: $(VENV)/.dev ## build the documentation into site/
	$(PIP) install --quiet --constraint requirements.lock --editable '.[docs]'
	$(BIN)/mkdocs build --strict

peers: ## create .venv-peers with the packages that benchmarks/peers.py runs beside ours
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip --disable-pip-version-check install --quiet \
		'torch==2.13.0' 'numpy<2.3' 'opencv-python-headless==4.12.0.88' pillow requests tqdm
	.venv-peers/bin/python -m pip --disable-pip-version-check install --quiet --no-deps facenet-pytorch==2.6.0

lock: $(VENV)/.dev ## write down the versions in .venv
	$(PIP) freeze --exclude-editable | grep -viE '^(facenet-pytorch|vultus)' | sed -E 's/^torch==.*/torch==2.13.0/' > requirements.lock

clean: ## remove what the targets made
	rm -rf $(VENV) .venv-peers site .mypy_cache .pytest_cache .ruff_cache
