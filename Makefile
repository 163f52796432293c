# Every target makes .venv and installs what it needs, once; again only when pyproject.toml or constraints.txt change.
PYTHON ?= python3.11
ifeq (, $(shell command -v $(PYTHON)))
PYTHON := python3
endif
BIN := .venv/bin
INSTALLED := .venv/installed
PYTEST_ARGS ?=
BENCHMARK_ARGS ?=
FUZZ ?= 50000
SEED ?= 1
GPU_PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help demo demo-model test test-all fuzz check format parity parity-page conversion-matrix bench tasks-table gpu docs clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' $(MAKEFILE_LIST)

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(INSTALLED)

demo: $(INSTALLED)  ## convert one checkpoint to PyTorch, Keras and Flax and compare the three, layer by layer
	@$(BIN)/python demo/demo.py

demo-model: $(INSTALLED)  ## make the model of the demo again: train a teacher, and distil a student of half its layers
	$(BIN)/python demo/make_model.py

test: $(INSTALLED)  ## run all tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-all: $(INSTALLED)  ## run all tests, with all combinations of parameters where `test` takes every two values together
	DISTILBERT_TEST_ALL=1 $(BIN)/python -m pytest $(PYTEST_ARGS)

fuzz: $(INSTALLED)  ## read 50,000 damaged files of every dialect (FUZZ=… for another count, SEED=… for others)
	DISTILBERT_FUZZ=$(FUZZ) DISTILBERT_FUZZ_SEED=$(SEED) $(BIN)/python -m pytest conversion/tests/test_fuzz_*.py \
		--dist=load --verbose $(PYTEST_ARGS)

check: $(INSTALLED)  ## check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(INSTALLED)  ## format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

parity: $(INSTALLED)  ## print the parity report: every golden checkpoint in every framework against transformers' numbers
	@$(BIN)/python -m parity_tests.report

parity-page: $(INSTALLED)  ## the same, and write its tables into docs/parity.md
	@$(BIN)/python -m parity_tests.report --page

conversion-matrix: $(INSTALLED)  ## measure every dialect to every other on a full-size model; writes docs/conversion.*
	$(BIN)/python benchmarks/conversion.py $(BENCHMARK_ARGS)

.venv-bench-%/installed: benchmarks/requirements-%.txt
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --requirement $<
	touch $@

bench: $(INSTALLED) .venv-bench-pt/installed .venv-bench-tf/installed  ## measure speed beside transformers; writes docs/benchmarks.*
	$(BIN)/python benchmarks/speed.py $(BENCHMARK_ARGS)

tasks-table: $(INSTALLED)  ## fine-tune five tasks beside transformers' Trainer; BENCHMARK_ARGS chooses; writes docs/tasks.*
	$(BIN)/python benchmarks/tasks.py $(BENCHMARK_ARGS)

gpu:  ## on a machine with an NVIDIA GPU: the checks and measurements there; GPU_PYTHON=… has the frameworks
	PYTHONPATH=common:conversion:pt:tf:flax:tasks:cli:. $(GPU_PYTHON) -m pytest -n0 parity_tests/on_gpu.py
	$(GPU_PYTHON) benchmarks/gpu.py --parity demo/model

docs: $(INSTALLED)  ## write the generated tables of the pages again
	$(BIN)/python docs/generate.py

clean:  ## remove the environment and all caches
	rm -rf .venv .venv-bench-* .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist demo/output demo/stages .tasks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
