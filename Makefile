.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# three processes, each with a PostgreSQL and a Temporal of its own; PARALLEL= runs the tests one after the other
PARALLEL ?= --numprocesses 3 --dist worksteal
INSTALLED := $(VENV)/installed

.PHONY: help run test check chaos format lock clean

help: ## This list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | awk -F: '{printf "  make %-8s%s\n", $$1, $$2}'

run: $(INSTALLED) ## Everything on this machine, with the demo job (ARGS=--exit ends after it)
	@$(BIN)/nightjar up --demo $(ARGS)

test: $(INSTALLED) ## All tests, on a PostgreSQL and a Temporal of their own (ARGS= for pytest)
	$(BIN)/pytest $(PARALLEL) $(ARGS)

check: $(INSTALLED) ## What a change must pass: format, lint, types, layers, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory test

chaos: $(INSTALLED) ## Kill -9 everything at random while jobs run; nothing may be lost (ARGS="--seconds 1800 --seed 7")
	$(BIN)/python -m tests.chaos $(ARGS)

format: $(INSTALLED) ## Format, and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(INSTALLED) ## Pin the newest versions that fit pyproject.toml
	$(BIN)/uv pip compile --universal --python-version 3.11 --all-extras --no-header --no-emit-index-url \
		--upgrade --quiet -o requirements.lock pyproject.toml

clean: ## Remove the virtual environment and the embedded data
	rm -rf $(VENV) .nightjar

$(INSTALLED): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "Python 3.11 or newer is needed: make PYTHON=…"; exit 1)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
