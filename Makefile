# make demo   watch the main job: service, receiver, orders, deliveries
# make test   everything that is tested, with make check before it; then the way of an event again, compiled
# make wheel  packhook with the way of an event as machine code, in dist/: for this Python, with a C compiler
# make check  lint, types, import contracts, the audit of what is installed
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

# The wheel's content beside the checkout, to be tested; and what of the tests goes the way of an event: on PostgreSQL,
# where little is compiled, what holds publishing and recording; not what asks every route at random, or turns keys,
# nor the store's suite on a SQLite that files early, nor what judges webhooks, tells problems, describes the API or opens
# files, little of which is compiled: these are run interpreted.
COMPILED := $(CURDIR)/build/compiled
ON_IT    := tests/api tests/crash tests/delivery tests/egress tests/store tests/whole tests/test_one_event.py \
	tests/postgres
COMPILED_ONLY := (not postgres or test_nodes or test_trouble or test_wanting) and not schemathesis and not master_key \
	and not sqlite_filing and not test_webhook_rules and not test_webhooks and not test_audit and not test_openapi \
	and not test_problems and not test_sqlite_file

.PHONY: demo test compiled wheel check lock clean
.DEFAULT_GOAL := test

$(READY): pyproject.toml $(LOCK)
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "packhook needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --requirement $(LOCK)
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $(READY)

demo: $(READY)
	$(BIN)/packhook demo

wheel: $(READY)
	PYTHONPATH=tests $(BIN)/python -m compiler
	rm -rf build dist
	PACKHOOK_COMPILE=1 $(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

compiled: wheel
	$(PIP) install --no-deps --target "$(COMPILED)" dist/packhook-*.whl
	PYTHONPATH="$(COMPILED)" PACKHOOK_TEST_COMPILED=1 $(PYTEST) -k "$(COMPILED_ONLY)" $(ON_IT)

check: $(READY)
	$(BIN)/ruff format --check src tests setup.py
	$(BIN)/ruff check src tests setup.py
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	PYTHONPATH=tests $(BIN)/python -m supply.audit

test: check
	$(PYTEST)
	@if PYTHONPATH=tests $(BIN)/python -m compiler; then $(MAKE) compiled; \
	elif [ "$$CI" = true ]; then exit 1; else echo "SKIPPED: the tests of the compiled packhook" >&2; fi

# For every Python from 3.11 on, with a hash for each file that may be installed; its tool lives only as long as this.
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip --disable-pip-version-check --quiet install 'uv>=0.9'
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes \
		--no-annotate --custom-compile-command 'make lock' --group dev --output-file $(LOCK) pyproject.toml
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) $(VENV)-lock .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
