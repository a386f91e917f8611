# The front door. `make demo` and `make test` each set everything up on a fresh Debian or Ubuntu.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
UV := .venv/bin/uv
RUN := $(UV) run --frozen --no-sync
STAMP := .venv/.synced
BENCH_STAMP := .venv/.synced-bench
SYSTEM_STAMP := .venv/.system-test
ONCE ?=
# Kept, whatever the machine prefers: the tests start some thousand commands, and each would
# compile all of it anew, a fifth of its time.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo test check bench docs format clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s $$'\t'

setup: $(STAMP) ## install everything into .venv

$(UV):
	@scripts/bootstrap-venv

$(STAMP): $(UV) pyproject.toml uv.lock
	@$(UV) sync --frozen --quiet --group dev
	@touch $@

$(BENCH_STAMP): $(STAMP)
	@$(UV) sync --frozen --quiet --group dev --group bench
	@scripts/system-packages nginx-light wrk
	@touch $@

$(SYSTEM_STAMP): $(STAMP)
	@scripts/system-packages postfix pebble knot sslscan nginx-light haproxy stunnel4 varnish unbound
	@touch $@

demo: $(STAMP) ## show the whole way of a link on loopback; ONCE=1 runs it unattended
	@scripts/system-packages haproxy stunnel4 || echo "the demo leaves out what takes them" >&2
	@$(RUN) linkseal demo $(if $(ONCE),--once)

test: $(STAMP) $(SYSTEM_STAMP) ## run the tests
	@$(RUN) pytest -n 3 --dist loadfile $(ARGS)

check: $(STAMP) $(SYSTEM_STAMP) ## format, lint, types, import contracts, docs, tests
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy
	@$(RUN) lint-imports
	@$(RUN) python -m scripts.reference --check
	@$(RUN) python -m scripts.checks --check
	@$(RUN) python -m scripts.guides --check
	@$(RUN) pytest -n 3 --dist loadfile

bench: $(BENCH_STAMP) ## measure side by side with nginx and pytracking
	@$(RUN) python -m bench

docs: $(STAMP) ## write the generated pages of docs/reference
	@$(RUN) python -m scripts.reference
	@$(RUN) python -m scripts.checks
	@$(RUN) python -m scripts.guides

format: $(STAMP) ## format the code
	@$(RUN) ruff format .
	@$(RUN) ruff check --fix .

clean: ## remove what setup made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
