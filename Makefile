# Everything starts from a fresh machine: each target makes the environment that it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := src tests recipes benchmarks examples

.PHONY: demo test lint types bench embedded clean

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/installed
	$(BIN)/python examples/demo.py out/demo.png

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/pyright

bench: $(VENV)/installed-dev
	$(BIN)/python benchmarks/attach_overhead.py

# Rebuilds the shipped model from nothing: autoencoder, text encoder, base, annotator, adapter (hours on two cores).
embedded: $(VENV)/installed
	PYTHON=$(CURDIR)/$(BIN)/python sh recipes/embedded/build.sh runs/embedded

clean:
	rm -rf $(VENV) out
