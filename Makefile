# `make demo` and `make test` do all their own set-up from a clean clone.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo test clean

demo: $(VENV)/installed
	$(BIN)/m3dfel demo --output demo $(if $(VIDEO),--video "$(VIDEO)")

test: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto --cov --cov-report term:skip-covered --cov-fail-under=90

# The versions in constraints.txt are those the tests were last run with; users of the package
# itself get the ranges of pyproject.toml.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) demo
