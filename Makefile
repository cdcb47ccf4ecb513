# make demo   watch the main job: service, receiver, orders, deliveries
# make test   everything that is tested, with make check before it
# make check  lint, types, import contracts, the audit of what is installed
# make schema write the schema files of the store from the migrations
# make lock   resolve the dependencies of pyproject.toml anew, into requirements.lock
# make clean  forget the virtual environment and all caches

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready
LOCK   := requirements.lock
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Tests that wait for a wire or a process gain from company; more than four only fight for the cores.
WORKERS ?= 4
PYTEST  := $(BIN)/pytest --numprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder

.PHONY: demo test check schema lock clean
.DEFAULT_GOAL := test

$(READY): pyproject.toml $(LOCK)
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "packhook needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --requirement $(LOCK)
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $(READY)

demo: $(READY)
	$(BIN)/packhook demo

check: $(READY)
	$(BIN)/ruff format --check src tests
	$(BIN)/ruff check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	PYTHONPATH=tests $(BIN)/python -m supply.audit

test: check
	$(PYTEST)

schema: $(READY)
	PYTHONPATH=tests $(BIN)/python -W ignore -m store.schema

# For every Python from 3.11 on, with a hash for each file that may be installed; its tool lives only as long as this.
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip --disable-pip-version-check --quiet install 'uv>=0.9'
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes \
		--no-annotate --custom-compile-command 'make lock' --group dev --output-file $(LOCK) pyproject.toml
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) $(VENV)-lock .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
