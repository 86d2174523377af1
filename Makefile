# Needs only Python 3.11+, make and a package index. `make quickstart` and `make test` set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# pip would compile one file after the other, also the packages' own tests. (What a package brings
# for other versions of Python does not compile: no fault.) Of what is very large and hardly imported,
# a third of it all, each file is compiled when it is.
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile
HARDLY := tests?|sympy|torch/(_inductor|testing)|phonenumbers/(carrier|geo|tz)data|faker/providers|databricks|matplotlib|fontTools|pygments/lexers|setuptools|pip|mypy
COMPILE := $(BIN)/python -m compileall -qq -j 0 -x '/($(HARDLY))/' $(VENV)/lib src || true
# Some images forbid what Python keeps of a source that it has read: each process would read all of it again.
export PYTHONDONTWRITEBYTECODE :=
STRONGROOM_HOME ?= $(HOME)/.strongroom

.PHONY: quickstart test collect lint bench extras lock clean help

help:  ## What can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/.runtime: requirements/runtime.lock requirements/installer.lock requirements/install.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Strongroom needs Python 3.11 or newer: make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python requirements/install.py requirements/runtime.lock .
	@$(COMPILE)
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.lock
	$(BIN)/python requirements/install.py requirements/dev.lock
	@$(COMPILE)
	@touch $@

$(VENV)/.extras: $(VENV)/.dev requirements/extras.txt
	$(INSTALL) -r requirements/extras.txt
	@$(COMPILE)
	@$(BIN)/python -W ignore -c 'import mbi, opacus'
	@touch $@

extras: $(VENV)/.extras  ## Also install what is optional and large: torch, jax

quickstart: $(VENV)/.runtime  ## Set up and run the main job on real data
	$(BIN)/strongroom quickstart --home "$(STRONGROOM_HOME)" $(QUICKSTART_FLAGS)

test: $(VENV)/.dev  ## Set up and run every test
	$(BIN)/python -m pytest -n auto $(PYTEST_FLAGS)

collect: $(VENV)/.dev  # What pytest makes of each test file is kept: processes that share the work read it.
	@$(BIN)/python -m pytest --collect-only -qq >/dev/null 2>&1 || true

lint: $(VENV)/.dev  ## Style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev  ## Measure; prints ratios against peers
	$(BIN)/python -m benchmarks

lock:  ## Resolve the dependencies again (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  -c requirements/constraints.txt --extra postgres --group pyproject.toml:dev pyproject.toml -o requirements/dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  -c requirements/dev.lock pyproject.toml -o requirements/runtime.lock
	echo uv | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  - -o requirements/installer.lock

clean:  ## Remove the local environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
