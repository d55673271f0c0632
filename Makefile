# Everything from nothing: `make demo`, `make test`, `make lint`. Each builds .venv first.
PYTHON ?= python3
BIN := .venv/bin

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/pip install --quiet -c constraints.txt torch
	$(BIN)/pip install --quiet -c constraints.txt -e '.[gym,judge,curation,chinese,e2b,lora]' --group dev
	touch $@

.PHONY: setup demo test lint check
setup: .venv/installed

demo: setup
	$(BIN)/r1trl run recipe=full scale=tiny name=demo

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test
