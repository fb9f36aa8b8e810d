.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint check bench clean

CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in $(CANDIDATES); do $$p -c '$(NEW_ENOUGH)' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
RUN := $(VENV)/bin/python
OUT := out/digits

help:
	@echo "make demo    fit a classifier to handwritten digits; results in $(OUT)"
	@echo "make test    run every test and doctest"
	@echo "make lint    ruff and pyright"
	@echo "make check   lint, then test"
	@echo "make bench   time xent beside its peers (python -m bench --help says more)"
	@echo "make clean   remove $(VENV), out and caches"
	@echo "Each creates $(VENV) when it is missing. Another interpreter: make test PYTHON=python3.13"

demo: $(VENV)/.demo
	$(VENV)/bin/xent fit --out $(OUT)

test: $(VENV)/.test
	$(RUN) -m pytest -n logical --dist loadfile

lint: $(VENV)/.dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pyright

check: lint test

bench: $(VENV)/.test
	$(RUN) -m bench

clean:
	rm -rf $(VENV) out .pytest_cache .ruff_cache .hypothesis
	find src tests bench examples -name __pycache__ -prune -exec rm -rf {} +

# A stamp is written only after its install succeeded, so an interrupted run starts over and a changed pyproject installs again.
$(VENV)/.created:
	@test -n "$(PYTHON)" && "$(PYTHON)" -c '$(NEW_ENOUGH)' >/dev/null 2>&1 || { \
	  echo "xent needs Python 3.11 or newer; $(or $(PYTHON),python3) is $$("$(or $(PYTHON),python3)" --version 2>/dev/null || echo "not there")." \
	    "Name another: make PYTHON=/path/to/python" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	@touch $@

$(VENV)/.demo: pyproject.toml $(VENV)/.created
	@echo "Installing xent with what the demo needs ..."
	@$(RUN) -m pip install --quiet --editable '.[learn,cli,data,report]'
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.created
	@echo "Installing xent with what the tests need (PyTorch among it; the first time takes minutes) ..."
	@$(RUN) -m pip install --quiet --editable '.[test]'
	@touch $(VENV)/.demo $@

$(VENV)/.dev: pyproject.toml $(VENV)/.created
	@echo "Installing xent with what the tests and linters need (PyTorch among it; the first time takes minutes) ..."
	@$(RUN) -m pip install --quiet --editable '.[dev]'
	@touch $(VENV)/.demo $(VENV)/.test $@
