# `make demo` and `make test` do all their own set-up from a clean clone.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PARALLEL := -n auto --dist worksteal
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

.PHONY: demo test types tests coverage soak fuzz bench docs weights clean

demo: $(VENV)/installed
	$(BIN)/m3dfel demo --output demo $(if $(VIDEO),--video "$(VIDEO)")

test: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(MAKE) --jobs types docs tests

# The type check and the site use one core for a minute each: they run beside the tests.
types: $(VENV)/installed
	$(BIN)/mypy

tests: $(VENV)/installed
	$(BIN)/pytest $(PARALLEL) --maxfail 10

# Which lines no test runs. Tracing makes the tests a third slower.
coverage: $(VENV)/installed
	$(BIN)/pytest $(PARALLEL) --cov --cov-fail-under=95

# Kills, several nodes, hours of video, millions of rows: about an hour on two cores.
soak: $(VENV)/installed
	$(BIN)/pytest --capture no --durations 0 --timeout 0 tests/soak.py

# A quarter of an hour for each of the readers of strangers' files; what they find is in fuzz/.
fuzz: $(VENV)/installed
	$(BIN)/pip install --quiet atheris==3.0.0
	for target in manifests predictions stores videos; do \
	  $(BIN)/python tests/fuzz.py $$target -max_total_time=900 || exit; done

# The site, in site/: open site/index.html.
docs: $(VENV)/installed
	$(MKDOCS)

# Less than ten minutes on an otherwise idle machine: writes benchmarks/results.json and a table.
bench: $(VENV)/installed
	$(BIN)/python benchmarks/all.py

# requirements-dev.txt holds the versions that the tests were last run with and the hashes of their
# files; users of the package itself get the ranges of pyproject.toml. PyTorch has no hash, since its
# builds for CPUs and GPUs differ. Python compiles what it imports; all would take minutes.
# The newest pip takes half the time of the one that comes with Python 3.11.
INSTALL := $(BIN)/pip install --quiet --no-compile
$(VENV)/installed: pyproject.toml requirements-dev.txt
	$(PYTHON) -m venv --upgrade-deps $(VENV)
	$(INSTALL) --no-deps --require-hashes --requirement requirements-dev.txt
	$(INSTALL) --no-build-isolation --editable ".[dev]" torch==2.13.0 torchvision==0.28.0
	touch $@

# Trains the bundled model again:
# make weights STILLS=…/stills.csv FERPLUS=…/ferplus.csv MOVING=…/clips.csv
SINGLE_FRAMES := --model.frames 1 --model.bag_size 1 --model.aggregation mean --stages '[]'
MOVEMENTS := [browInnerUp, browOuterUp, eyeBlink, eyeLookDown, eyeSquint, eyeWide, mouthPucker, \
  mouthSmile, mouthUpperUp]
weights: $(VENV)/installed
	$(BIN)/m3dfel train --config bundled --data.path "[$(STILLS), $(FERPLUS)]" \
	  --output runs/stills --resume
	$(BIN)/m3dfel train --config bundled --data.path "[$(STILLS), $(FERPLUS)]" \
	  --data.neutral_probability 0 --model.weights runs/stills $(SINGLE_FRAMES) \
	  --loss.movements 0.5 --optim.epochs 12 --optim.epoch_clips 16000 --optim.lr 1e-3 \
	  --optim.keep 0.5 --output runs/movements --resume
	$(BIN)/m3dfel train --config bundled --data.path "[$(STILLS), $(FERPLUS)]" \
	  --data.neutral_probability 0 --data.prior_correction 0 --model.weights runs/movements \
	  $(SINGLE_FRAMES) --augment.mixup 0 --loss.movements 0.5 --optim.parts '[movement_head]' \
	  --optim.epoch_clips 12800 --optim.warmup_epochs 0 --optim.lr 3e-3 --optim.ema 0 \
	  --output runs/head --resume
	$(BIN)/m3dfel train --config motion --data.path "[$(MOVING), $(STILLS), $(FERPLUS)]" \
	  --data.mixing_weights '[0.7, 0.15, 0.15]' --data.val_fraction 0 \
	  --data.neutral_probability 0.3 --model.weights runs/head --model.frames 16 \
	  --model.bag_size 4 --model.aggregation dliam --model.aggregation_options '{init: mean}' \
	  --model.reported_movements "$(MOVEMENTS)" --model.movement_classifier true --loss.votes true \
	  --optim.parts '[motion, movement_classifier]' --optim.epochs 1 --optim.epoch_clips 4000 \
	  --target_accuracy 0.9 --output runs/bundled --resume
	$(BIN)/python -c "from pathlib import Path; from m3dfel.models.checkpoints import *; \
	  save_model(load_model('runs/bundled'), Path('src/m3dfel/bundled'), half=True)"

clean:
	rm -rf $(VENV) demo site
