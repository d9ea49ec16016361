# Everything needs Python 3.11 or newer and nothing else; each target makes the virtual environment first if there is none.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check

# ARGS goes on to the command: make run ARGS="--port 9000"
ARGS ?=

.PHONY: run demo test lint format bench faults coverage install

run: .venv/runtime.stamp  ## The panel, the worker and the scheduler in one process, until Ctrl-C
	@exec $(BIN)/python manage.py up $(ARGS)

demo: .venv/runtime.stamp  ## The same with a mail server full of letters to collect from
	@exec $(BIN)/python manage.py up --demo $(ARGS)

install: .venv/runtime.stamp  ## Only the virtual environment, with what the product needs to run

test: .venv/dev.stamp  ## All tests; those of servers that are not installed are skipped and say what to install
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

CSS := $(wildcard static/css/*.css)
CSS_BEAUTIFY := $(BIN)/css-beautify --indent-size 2 --end-with-newline --space-around-combinator

lint: .venv/dev.stamp  ## Style, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/djlint templates --check
	@for file in $(CSS); do $(CSS_BEAUTIFY) $$file | diff -u $$file - || exit 1; done
	@! LC_ALL=C.UTF-8 grep -rnE '.{121}' templates static/css static/js || { echo "Longer than 120 characters" >&2; exit 1; }
	$(BIN)/mypy .

format: .venv/dev.stamp  ## Put imports and layout in order: Python, templates, style sheets
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djlint templates --reformat --quiet || true
	$(CSS_BEAUTIFY) --replace $(CSS)

bench: .venv/dev.stamp  ## Measure beside mpop, getmail6 and fetchmail; as root over delay lines
	$(BIN)/python -m pytest tests/benchmarks -s -m benchmark $(ARGS)

faults: .venv/dev.stamp  ## The long campaigns of faults
	$(BIN)/python -m pytest -n auto --dist worksteal -m faults $(ARGS)

ENGINE := fetchrules/smtp.py,fetchrules/utf7.py,fetchrules/remote/*,fetchrules/delivery/*,fetchrules/ledger/*,fetchrules/policy/*,fetchrules/poll/*
ENGINE_TESTS := tests/remote tests/delivery tests/ledger tests/test_policy.py tests/test_quiet.py tests/test_limits.py tests/poll tests/management/test_redate.py

coverage: .venv/dev.stamp  ## That the tests of what moves a letter leave no line and no branch of it out
	$(BIN)/coverage run -m pytest $(ENGINE_TESTS) $(ARGS)
	$(BIN)/coverage report --include='$(ENGINE)' --skip-covered --show-missing --fail-under=100

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "This Python cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making the virtual environment .venv"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/runtime.stamp: pyproject.toml | .venv/bin/python
	@echo "Installing into .venv; this takes up to a minute"
	@$(PIP) install --editable .
	@touch $@

.venv/dev.stamp: pyproject.toml | .venv/bin/python
	@echo "Installing into .venv, with what development needs; this takes a minute or two"
	@$(PIP) install --editable '.[dev]'
	@touch .venv/runtime.stamp $@
