# `make demo` and `make test` do their own set-up in .venv; nothing else is needed before them.
.PHONY: setup demo test eval fit soak check lint types imports unit clean

BIN := .venv/bin
ARGS ?=

setup:
	@tools/setup

demo: setup
	@$(BIN)/qnode demo $(ARGS)

# Everything that CI runs.
test: check
	$(BIN)/pytest $(ARGS)

# How well answers are told apart, on the half of the pairs that nothing was tuned on.
eval: setup
	@$(BIN)/qnode evaluate $(sort $(wildcard eval/pairs-test*.jsonl)) --roc eval/roc.svg $(ARGS)

# Whether the committed weights of the similarity are what the development pairs give (minutes).
fit: setup
	@$(BIN)/python eval/fit.py | diff - inference/data/calibration.json && echo "the weights are the committed ones"

# The simulator for long: every recipe, every mutant, twins, fuzzing, ten thousand seeds, and the
# live scenarios against real daemons.
soak: setup
	$(BIN)/qnode sim catalog
	$(BIN)/qnode sim mutants
	$(BIN)/qnode sim twins --sample 5000
	$(BIN)/qnode sim fuzz --sample 5000
	$(BIN)/qnode sim check-determinism --seeds 0:100
	$(BIN)/qnode sim swarm --seeds 0:10000
	$(BIN)/qnode sim live simulator/scenarios/live/*.toml

check: lint types imports

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

# pbft/ imports nothing impure, libp2p is touched in one place, imports point one way.
imports: setup
	$(BIN)/lint-imports

clean:
	rm -rf .venv qnode-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
