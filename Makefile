# make demo   ship a real model, replay two months of traffic, watch it
# make test   the fast tests            make test-all  the slow ones too
# make examples  fetch the data of the other examples and ship them: about a quarter of an hour
# make check  format, lint, types, import table, fast tests
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -q
# uv does not read pip's settings: hand it pip's find-links, if there are any
LINKS = $$($(BIN)/python -m pip config get global.find-links 2>/dev/null || printf '%s' "$$PIP_FIND_LINKS")

.PHONY: demo examples test test-all check static format bench bench-serving clean
.DEFAULT_GOAL := test

$(VENV)/.ready: pyproject.toml constraints.txt src/torchyard/version.py
	@echo "Setting up $(VENV) (one to two minutes, 2.4 GB with PyTorch) ..."
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "torchyard needs Python 3.11 or newer; found $$($(PY) --version). Try: make PY=python3.11"; exit 1; }
	@$(PY) -m venv $(VENV) || { echo "Install the venv module first: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	@UV_FIND_LINKS="$(LINKS)" $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[test]'
	@touch $@

demo: $(VENV)/.ready
	@cd examples/flights && ../../$(BIN)/python demo.py

examples: $(VENV)/.ready
	@for name in employment fashion sentiment; do \
	  echo "examples/$$name:"; \
	  (cd examples/$$name && ../../$(BIN)/python fetch.py && ../../$(BIN)/torchyard ship) || exit 1; done
	@for name in own_loop lightning_module given_weights; do \
	  echo "examples/ways/$$name:"; \
	  (cd examples/ways/$$name && { [ ! -e elsewhere.py ] || ../../../$(BIN)/python elsewhere.py; } && \
	  ../../../$(BIN)/torchyard ship) || exit 1; done
	@for name in air_time weather_ahead; do \
	  echo "examples/kinds/$$name:"; \
	  (cd examples/kinds/$$name && ../../../$(BIN)/torchyard ship) || exit 1; done
	@echo "examples/sentiment/minilm:"
	@cd examples/sentiment/minilm && ../../../$(BIN)/python ../fetch.py --minilm && ../../../$(BIN)/torchyard ship

test: $(VENV)/.ready
	$(PYTEST)

test-all: $(VENV)/.ready
	$(PYTEST) -m 'slow or not slow'

check: static test

static: $(VENV)/.ready
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/mypy

format: $(VENV)/.ready
	$(BIN)/ruff format src tests benchmarks examples
	$(BIN)/ruff check --fix src tests benchmarks examples

clean:
	rm -rf examples/*/.torchyard examples/*/*/.torchyard examples/ways/given_weights/weights.pt .mypy_cache .ruff_cache .hypothesis

bench: $(VENV)/.ready
	@for script in $(filter-out benchmarks/cold_start.py benchmarks/evaluate.py benchmarks/ten_million.py,$(sort $(wildcard benchmarks/*.py))); do echo "$$script:"; $(BIN)/python $$script || exit 1; done

# torchyard beside other model servers, each in an environment of its own: an hour or so, two at most. Needs wrk
bench-serving: $(VENV)/.ready
	$(BIN)/python benchmarks/serving/run.py --seconds 3 --repeats 3 --tune --most-minutes 120
