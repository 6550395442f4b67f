# Everything a contributor runs. Needs git, make and Python 3.11 or newer; brings its own uv when none is on PATH.
PYTHON ?= python3
WORKERS ?= auto

ifneq ($(shell command -v uv 2>/dev/null),)
UV := uv
OWN_UV :=
else
UV := .uv/bin/uv
OWN_UV := .uv/bin/uv
endif
RUN := $(UV) run --locked

.DEFAULT_GOAL := help
.PHONY: help test quick lint format

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: lint ## Everything that must be green: lint, and all tests
	$(RUN) pytest -n $(WORKERS)

quick: lint ## The same without the slow tests: under two minutes
	$(RUN) pytest -n $(WORKERS) -m "not slow"

lint: $(OWN_UV) ## Formatting, lint and types of this repository
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) mypy

format: $(OWN_UV) ## Format, and repair what lint can repair by itself
	$(RUN) ruff format
	$(RUN) ruff check --fix

.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, for example: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv
