# Everything starts from a fresh machine: each target makes the environment that it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := src tests recipes benchmarks examples

.PHONY: demo test fuzz lint types docs package bench embedded clean

$(VENV)/installed: pyproject.toml constraints.txt
	@echo "Making $(VENV) and installing PyTorch and what else is needed: once, some minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@echo "Installing what the tests need."
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

demo: $(VENV)/installed
	$(BIN)/python examples/demo.py out/demo.png

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n 2

# Hostile inputs, each an ArmatureError or success: a minute or two; make fuzz FUZZ_COUNT=1000000 FUZZ_SEED=7 for a night.
FUZZ_COUNT ?= 5000
FUZZ_SEED ?= 0
fuzz: $(VENV)/installed-dev
	PYTHONPATH=tests $(BIN)/python -m fuzz --count $(FUZZ_COUNT) --seed $(FUZZ_SEED)

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/pyright

# The site, into site/; open site/index.html.
docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# Source archive and wheel, into dist/, tried in an environment of their own.
package: $(VENV)/installed-dev
	$(BIN)/python .ci/check_package.py dist

bench: $(VENV)/installed-dev
	$(BIN)/python benchmarks/attach_overhead.py

# Rebuilds the shipped model from nothing: autoencoder, text encoder, base, annotator, adapter (hours on two cores).
embedded: $(VENV)/installed
	PYTHON=$(CURDIR)/$(BIN)/python sh recipes/embedded/build.sh runs/embedded

clean:
	rm -rf $(VENV) out dist site
