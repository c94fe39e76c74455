# Sets everything up in .venv, from package registries; a second run reinstalls nothing.

VENV    := .venv
BIN     := $(VENV)/bin
PYTHON  ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
WORKERS ?= 2
BENCH   ?= completejourney
PIP     := PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -qq -c constraints.txt

# Tests run in parallel, so a BLAS with several threads in each is slower.
QUIET_BLAS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

unexport PYTHONPATH PYTHONHOME

.PHONY: help demo demo-fashion serve serve-fashion test check format bench docs readme clean
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/ready ## Recommend for the households of a real retailer, and show how good that is
	$(BIN)/crossaisle demo --out demo

serve: demo/model $(VENV)/ready-serve ## Open the demo shop at http://127.0.0.1:8080
	$(BIN)/crossaisle serve demo/model

demo/model:
	$(MAKE) demo

demo-fashion: $(VENV)/ready ## The demo of a fashion shop with pictures, on its first day; DATA=DIR contains fashion/products.parquet
	$(BIN)/crossaisle demo --shop fashion --out demo-fashion $(if $(DATA),--root $(DATA))

serve-fashion: demo-fashion/model $(VENV)/ready-serve ## Open it at http://127.0.0.1:8080
	$(BIN)/crossaisle serve demo-fashion/model

demo-fashion/model:
	$(MAKE) demo-fashion

test: $(VENV)/ready-dev inputs ## Run every check: formatting, lint, types, all tests
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/mypy
	$(QUIET_BLAS) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: $(VENV)/ready-dev ## The same without the slow tests
	$(BIN)/ruff check --quiet .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/mypy
	$(QUIET_BLAS) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

format: $(VENV)/ready-dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/ready ## Measure quality; BENCH="completejourney instacart ..." chooses data sets
	for name in $(BENCH); do \
		$(BIN)/crossaisle benchmark $$name --out runs/$$name && \
		$(BIN)/python benchmarks/results_table.py --keep runs/$$name || exit 1; done

docs: $(VENV)/ready-docs ## Build the documentation site in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html"

readme: $(VENV)/ready ## Write the README's result tables from docs/results
	$(BIN)/python benchmarks/results_table.py

clean: ## Remove the environment and everything that was built
	rm -rf $(VENV) demo demo-fashion runs build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info

.PHONY: inputs
inputs: $(VENV)/ready
	@$(BIN)/crossaisle models pull minilm >/dev/null && $(BIN)/crossaisle data pull completejourney >/dev/null || \
		echo "Weights or data could not be fetched: tests that need them will say that they skip."

$(VENV)/ready: pyproject.toml constraints.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "crossaisle needs Python 3.11 or newer, and none was found: install one, or name it with  make PYTHON=/path/to/python3"; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "crossaisle needs Python 3.11 or newer; $(PYTHON) is" $$($(PYTHON) --version 2>&1); exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "$(PYTHON) lacks the venv module: on Debian and Ubuntu  apt install python3-venv"; exit 1; }
	@echo "Setting up $(VENV) (once)"
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) -e .
	@touch $@

$(VENV)/ready-serve: $(VENV)/ready
	@echo "Adding the service (once)"
	@$(PIP) -e '.[serve]'
	@touch $@

$(VENV)/ready-docs: $(VENV)/ready
	@echo "Adding mkdocs (once)"
	@$(PIP) -e '.[docs]'
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready
	@echo "Adding the development tools (once)"
	@$(PIP) -e '.[dev,train,clean,image,video,multilingual,serve,large,postgres,streams,ray,federated]'
	@touch $@
