# Everything on a fresh machine: `make demo`, `make test`. Each target sets itself up first.
SHELL := /bin/bash
BIN := .venv/bin

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-pure test-suite twin lint bench clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## virtual environment, compiled modules, servers (quick when nothing changed)
	@tools/setup

demo: setup ## 2,000 clients on 40 connections of a three-node cluster; KEEP=1 leaves it running
	@$(BIN)/python -m bench demo $(if $(KEEP),--keep)

# The order puts pytest's own summary of the whole suite last.
test: setup lint test-pure ## lint, the fast layers interpreted, the whole suite compiled
	@$(MAKE) --no-print-directory test-suite

test-pure:
	@tools/test-pure

test-suite:
	@$(BIN)/python -m pytest -n $${FANIN_TEST_PROCESSES:-2} --dist loadfile $(PYTEST_ARGS)

twin: setup ## hunt for answers that differ from a direct connection: MINUTES=n [SERVER=mysql|mariadb] [SEED=n] [READERS=1]
	@$(BIN)/python -m tests.twin.hunt $${MINUTES:-1} "$(SERVER)" $(SEED)

lint: setup ## ruff, ruff format, mypy --strict, import contracts
	@tools/lint

bench: setup ## Fanin beside HAProxy and whoever else is here, in 5 minutes: bars, JSON and a page; BENCH_ARGS=...
	@tools/install-servers router
	@$(BIN)/python -m bench compare --suite --short $(BENCH_ARGS)

clean: ## remove what setup and the tests left in the checkout (the servers in the cache folder stay)
	@rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.*
	@find protocol config proxy bench -name '*.so' -delete; rm -f ./*.so
