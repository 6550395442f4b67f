# Everything a contributor runs. Needs git, make and Python 3.11 or newer; brings its own uv when none is on PATH.
PYTHON ?= python3
WORKERS ?= auto

ifeq ($(shell command -v uv 2>/dev/null),)
OWN_UV := .uv/bin/uv
export PATH := $(CURDIR)/.uv/bin:$(PATH)
endif
RUN := $(or $(OWN_UV),uv) run --locked
unexport PYTHONDONTWRITEBYTECODE # without bytecode, each import takes two to three times as long

.DEFAULT_GOAL := help
.PHONY: help demo picture test quick campaign lint format release

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: lint ## Everything that must be green: lint, and all tests but the campaign's
	$(RUN) pytest -n $(WORKERS)

quick: lint ## The same without the slow tests
	$(RUN) pytest -n $(WORKERS) -m "not slow"

campaign: $(OWN_UV) ## What is long: every address and extra, clusters, vendors' stores
	$(RUN) pytest -n $(WORKERS) -m campaign

demo: $(OWN_UV) ## Generate a project in build/demo and walk it from idea to value
	rm -rf build/demo
	$(RUN) copier copy --quiet --defaults --vcs-ref HEAD . build/demo
	-cd build/demo && $(PYTHON) hooks/post_generate.py # goes on without a first commit where git knows nobody
	$(RUN) python -m tests.story build/demo
	cd build/demo && uv run pytest --quiet
	@echo
	@echo "From idea to value, in build/demo: five months of a team, of which GitHub was played on this machine."
	@echo "  what was asked, and what came of it  open build/demo/site/logbook/index.html"
	@echo "  the same, built again or served      uv run dslp logbook serve --from build/history"
	@echo "  the Ask, its metric and criterion    src/demo/models/claim_frequency/params.yml"
	@echo "  the dataset and what it promises     src/demo/datasets/claims/, data/processed/"
	@echo "  the runs and the registry            uv run mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db"
	@echo "  where to read on                     README.md"

picture: $(OWN_UV) ## Take the pictures of README.md from the demo's logbook, with Chromium
	$(RUN) python -m benchmarks.picture

lint: $(OWN_UV) ## Formatting, lint and types of this repository
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) mypy
	$(RUN) lint-imports --no-logo
	$(RUN) zizmor --offline --quiet .github
	$(RUN) check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

format: $(OWN_UV) ## Format, and repair what lint can repair by itself
	$(RUN) ruff format
	$(RUN) ruff check --fix

release: $(OWN_UV) ## Prove, commit and tag a release: make release VERSION=1.2.0, with DRY_RUN=1 to try it
	$(RUN) python .ci/release.py "$(VERSION)" $(if $(DRY_RUN),--dry-run)

.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, for example: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv
