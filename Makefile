# make demo    installs into .venv and makes the demo data set: contact sheet, shards, labels, report
# make test    installs into .venv and runs the tests
# make lint    ruff, mypy and the floor plan
# make bench   all benchmarks, as one document (BENCH names some of them)
# make evaluate  the model's benchmark table, on DATA
# make clean   removes what the targets above made
#
# PYTHON=python3.12 chooses the interpreter; TORCH and PIP_FLAGS choose another build of torch, for instance
#   make demo TORCH=torch==2.13.0+cpu PIP_FLAGS="--find-links wheels"

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
PIP_FLAGS ?=
OUT ?= out/demo
BENCH ?=
DATA ?= ../shared/corpus/shards/counterpart-*.tar

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt $(PIP_FLAGS)

.PHONY: demo test lint bench evaluate clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed
	$(BIN)/facemint run jobs/recipes/demo.yaml --out $(OUT)
	@echo "contact sheet  $(OUT)/contact_sheet.png"
	@echo "shards         $(OUT)/data/"
	@echo "report         $(OUT)/report.html"

test: $(VENV)/installed-test
	$(BIN)/python -m pytest

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/mypy generator manifests jobs qc
	$(BIN)/lint-imports

bench: $(VENV)/installed-test
	$(BIN)/python -m tests.bench $(BENCH)

evaluate: $(VENV)/installed
	$(BIN)/facemint evaluate --data $(DATA)

clean:
	rm -rf $(VENV) out build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis facemint.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch goes first, in the version of the constraints, so that no other requirement decides which build of it is fetched.
$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) "$(TORCH)"
	$(INSTALL) --editable .
	@touch $@

$(VENV)/installed-test: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) "$(TORCH)"
	$(INSTALL) --editable ".[test]"
	@touch $@
