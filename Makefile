# Any Python from 3.11 on will do: make run PYTHON=python3.13
PYTHON ?= python3

BOOTSTRAP = $(PYTHON) dev/bootstrap.py
COMPILE = .venv/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

.DEFAULT_GOAL := help
.PHONY: help run demo test trials trials-all defects audit bench lint format lock clean

help: ## This list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 19

run: ## Start the shop, its database and a simulated WeChat here; Ctrl-C stops everything
	@$(BOOTSTRAP) -m dev.run --with-parent

demo: ## Watch a purchase, from sign-in to refund, in this terminal
	@$(BOOTSTRAP) -m shop demo

test: ## Lint, types, import contract and all tests but the trials
	@$(BOOTSTRAP) --dev -m dev.check

trials: ## Kill it, lie to it, attack it, in ten minutes (ARGS="--seed 7" to repeat a run)
	@$(BOOTSTRAP) --dev -m dev.trials $(ARGS)

trials-all: ## The same with the larger counts and the trials that take long: several hours
	@$(BOOTSTRAP) --dev -m dev.trials --all $(ARGS)

defects: ## Plant every known defect in a copy and see a test catch it (ARGS="NAME ..." for some, --write for docs)
	@$(BOOTSTRAP) --dev -m dev.defects $(ARGS)

audit: ## Ask for known holes in what the locks name; says "not checked" (exit code 3) when nobody answers
	@$(BOOTSTRAP) --dev -m dev.audit

bench: ## Measure how fast it is beside its limits; needs wrk (ARGS="W1 W5 --quick" for less)
	@$(BOOTSTRAP) --dev -m bench $(ARGS)

lint: ## Lint, format check, types and import contract only
	@$(BOOTSTRAP) --dev -m dev.check lint format types imports

format: ## Rewrite the code as the formatter likes it
	@$(BOOTSTRAP) --dev -m ruff format .
	@.venv/bin/python -m ruff check --fix .

lock: ## Write requirements.lock and requirements-dev.lock anew from pyproject.toml (UPGRADE=1 for newer versions)
	@$(BOOTSTRAP) --dev -m ensurepip >/dev/null
	@.venv/bin/python -m pip install --quiet uv
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra embedded --output-file requirements.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra embedded --extra dev --constraint requirements.lock --output-file requirements-dev.lock
	$(subst pyproject.toml,dev/audit.in,$(COMPILE)) $(if $(UPGRADE),--upgrade) --output-file requirements-audit.lock

clean: ## Remove .venv and all caches; the data folder stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.data/*' -prune -exec rm -rf {} +
