# make demo    watch the main job: a node, a receiver, orders, deliveries
# make unit    the fast tests: pure code, no database server, no process; under a minute
# make lint    format check, lint, types, import contracts, audit of the installed packages
# make test    make lint, then every test
# make fmt     format the code, and fix what the linter can fix
# make bench   measure this machine:                      make bench ARGS="--events 20000 --postgres"
# make chaos   kill nodes and count what was delivered:   make chaos ARGS="--postgres --nodes 3"
# make screenshots   write the pictures of the dashboard, docs/images/*.png, with the system's Chromium
# make interop   write the tables of docs/reference/interop.md from what receivers do
# make schema  write store/schema/*.sql from the migrations
# make sbom    list everything that an installed packhook consists of, as CycloneDX JSON
# make chart   lint and render the Helm chart with helm, and record that for the tests: after each change of the chart
# make image-check  run the image's own steps in a fresh Debian, without a container engine; needs root and debootstrap
# make lock    resolve the dependencies of pyproject.toml again, into requirements.lock and deploy/*.lock
# make clean   delete the virtual environment and all caches

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready
LOCK   := requirements.lock
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
CODE   := src clients examples benchmarks tests
ARGS   ?=
# Most tests wait for a socket or a process, so five workers are faster than one per core.
WORKERS ?= 5
PYTEST  := $(BIN)/pytest --numprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder

# Workers share what the first of them compiles: half of the CPU that a start costs.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo unit lint test fmt bench chaos screenshots interop schema sbom chart image-check lock clean reinstall
.DEFAULT_GOAL := test

$(READY): pyproject.toml $(LOCK)
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "packhook needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --requirement $(LOCK)
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $(READY)

# After `pip install .` in this environment the tests would run on that copy: install the checkout again.
INSTALLED := $(shell $(BIN)/python -c 'import packhook; print(packhook.__file__)' 2>/dev/null)
ifneq ($(realpath $(INSTALLED)),$(realpath src/packhook/__init__.py))
$(READY): reinstall
endif

demo: $(READY)
	$(BIN)/packhook demo

unit: $(READY)
	$(BIN)/pytest --numprocesses 2 tests/unit

lint: $(READY)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	PYTHONPATH=tests $(BIN)/python -m supply.audit

test: lint
	$(PYTEST)

fmt: $(READY)
	$(BIN)/ruff check --fix-only $(CODE)
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check $(CODE)

bench: $(READY)
	$(BIN)/python -m benchmarks $(ARGS)

chaos: $(READY)
	PYTHONPATH=tests $(BIN)/python -m chaos $(ARGS)

screenshots: $(READY)
	PYTHONPATH=tests $(BIN)/python -W ignore -m web.screenshots

interop: $(READY)
	PACKHOOK_WRITE_INTEROP=1 $(BIN)/pytest --quiet tests/receiving/test_interop.py tests/receiving/test_examples.py

schema: $(READY)
	PYTHONPATH=tests $(BIN)/python -W ignore -m store.schema

sbom: $(READY)
	@PYTHONPATH=tests $(BIN)/python -m supply.runtime sbom

chart: $(READY)
	PYTHONPATH=tests $(BIN)/python -m supply.helm

image-check: $(READY)
	PYTHONPATH=tests $(BIN)/python -m supply.image_check $(ARGS)

# For every Python from 3.11 on, with a hash for each file that may be installed. uv is needed only here.
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip --disable-pip-version-check --quiet install 'uv>=0.9'
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes \
		--no-annotate --custom-compile-command 'make lock' --group dev --output-file $(LOCK) pyproject.toml
	rm -rf $(VENV)-lock
	$(MAKE) $(READY)
	PYTHONPATH=tests $(BIN)/python -m supply.runtime lock

clean:
	rm -rf $(VENV) $(VENV)-lock .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
