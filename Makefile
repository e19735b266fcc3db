# Every target does its own set-up; each recipe is a line a newcomer could type.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install

.PHONY: help setup run test test-all test-slow fmt lint types bench docs site dist audit lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-10s %s\n", $$1, $$2 }'

setup: $(VENV)/.runtime ## make .venv with the command `locum` in it

run: $(VENV)/.runtime ## start the server on 127.0.0.1:8000
	$(BIN)/locum quickstart

test: $(VENV)/.dev ## the tests, in a minute or two
	$(BIN)/python -m pytest -n auto -m "not slow and not node and not browser"

test-slow: $(VENV)/.dev ## only what `make test` leaves out, but for Node's
	$(BIN)/python -m pytest -n auto -m "slow and not node and not browser"

test-all: $(VENV)/.dev ## every suite, the slow ones and Node's too
	$(BIN)/python -m pytest

fmt: $(VENV)/.dev ## format the code
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lint: $(VENV)/.dev ## format, style, layers
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/lint-imports

types: $(VENV)/.dev ## mypy --strict
	$(BIN)/mypy src tests

bench: $(VENV)/.dev ## measure the hot paths; writes benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

docs: $(VENV)/.dev ## write the generated pages anew
	$(BIN)/python -m tests.docs.generate && $(BIN)/python -m tests.contract.coverage

site: $(VENV)/.dev ## build the documentation as a site, strictly, in build/documentation/site
	$(BIN)/python -m tests.docs.site

dist: $(VENV)/.dev ## build wheel, sdist and the bill of materials in dist/
	$(BIN)/python -m hatchling build
	$(BIN)/python -m tests.packaging.supply sbom dist/locum.cdx.json

audit: $(VENV)/.dev ## ask for known weaknesses of what is shipped; needs the network
	$(BIN)/python -m tests.packaging.supply audit

lock: ## pin the newest dependencies, with hashes
	uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade -q requirements/runtime.in -o requirements/runtime.txt --custom-compile-command "make lock"
	uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade -q requirements/dev.in -o requirements/dev.txt --custom-compile-command "make lock"
	for name in tools examples; do uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade -q requirements/$$name.in -o requirements/$$name.txt --custom-compile-command "make lock"; done
	uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade -q requirements/sandbox.in -o src/locum/tools/code_interpreter/packages.txt --custom-compile-command "make lock"

clean: ## remove what the other targets made, but no data
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis .pytest_cache .import_linter_cache dist build

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing Locum into $(VENV) …"
	$(PIP) --require-hashes --only-binary :all: -r requirements/runtime.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@echo "Installing what the tests need …"
	$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@
