# Any Python from 3.11 on will do: make run PYTHON=python3.13
PYTHON ?= python3

BOOTSTRAP = $(PYTHON) dev/bootstrap.py
COMPILE = .venv/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

.DEFAULT_GOAL := help
.PHONY: help run demo test lint format lock clean

help: ## This list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 17

run: ## Start the shop, its database and a simulated WeChat here; Ctrl-C stops everything
	@$(BOOTSTRAP) -m dev.run --with-parent

demo: ## Watch a purchase, from sign-in to refund, in this terminal
	@$(BOOTSTRAP) -m shop demo

test: ## Lint, types, import contract and all tests
	@$(BOOTSTRAP) --dev -m dev.check

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

clean: ## Remove .venv and all caches; the data folder stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.data/*' -prune -exec rm -rf {} +
