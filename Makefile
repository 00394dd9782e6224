# `make` lists the targets. Only make and a POSIX shell are needed; every target can be run again at any time.
#
#   PYTHON=python3.12   the Python to make the environment with        TORCH_INDEX=URL   take torch from this package index
#   JOBS=2              test processes                                 LAB_ARGS="..."    more arguments for JupyterLab
#   BUNDLE_ARGS="..."   for which Python and platform

VENV = .venv
BIN = $(VENV)/bin
JOBS = 2
RUFF_PATHS = simplex_lab kernels tools tests chapters/src solutions/src

# tools.nbval_env runs notebooks as a learner does: TRITON_INTERPRET unset, a progress file that is nobody's own. tools.nbval_summary ends
# the output with the broken cell. pyproject.toml turns warnings into errors for our own tests; those of the notebooks' tools are not ours.
NBVAL = OMP_NUM_THREADS=1 $(BIN)/pytest -W default -p no:cacheprovider -p tools.nbval_env -p tools.nbval_summary \
	--nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-current-env --nbval-cell-timeout 120 -n $(JOBS) --dist loadfile

.DEFAULT_GOAL = help
.NOTPARALLEL:
.PHONY: help setup lab bundle test test-all test-unit test-notebooks test-browser test-gpu bench notebooks site slides check lint clean

help: ## list the targets
	@echo "Simplex Lab:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

setup: ## make the environment in .venv, or do nothing if it is ready
	@command -v "$${PYTHON:-python3}" >/dev/null || { echo "There is no $${PYTHON:-python3} here. Install Python 3.11 or newer, or say which to use: make lab PYTHON=python3.12"; exit 1; }
	@"$${PYTHON:-python3}" tools/bootstrap.py $${PYTHON:+--this-python} $(VENV)

lab: setup ## open JupyterLab at chapter 00; its terminals find simplex-lab
	@echo "Opening JupyterLab at chapter 00. Ctrl-C here stops it."
	@if [ "$$(id -u)" = 0 ]; then root=--allow-root; else root=; fi; \
	PATH="$(CURDIR)/$(BIN):$$PATH" exec $(BIN)/jupyter-lab chapters/00_start_here.ipynb $$root $(LAB_ARGS)

test: lint check test-unit test-notebooks test-browser ## everything CI runs
	@echo "All tests passed."

test-all: test ## and what takes long: the bundle, nbgrader, 200 submissions
	@REQUIRE_NBGRADER=1 $(BIN)/pytest tests -m slow
	@SIMPLEX_LAB_SUBMISSIONS=200 $(BIN)/pytest tests/test_grading.py -k submissions

test-unit: setup ## unit tests, and the wrong answers that every check must reject
	@echo "Unit tests"
	@OMP_NUM_THREADS=1 $(BIN)/pytest tests -m "not browser and not slow" -n $(JOBS) --dist loadfile

bench: setup ## time the kernels on a GPU, append to results/kernel_bench.csv, draw the plots
	@$(BIN)/simplex-lab bench
	@$(BIN)/simplex-lab bench --plots

test-notebooks: setup ## run every notebook and compare its outputs with the stored ones
	@echo "Chapters and solutions: every cell runs, outputs as stored"
	@$(NBVAL) --nbval chapters solutions
	@echo "Exercises, unsolved: every cell runs"
	@$(NBVAL) --nbval-lax exercises

test-browser: setup $(VENV)/.site ## JupyterLab, the slides and the site in a real browser
	@echo "JupyterLab, slides and site in headless Chromium"
	@$(BIN)/pytest tests -m "browser and not slow"

test-gpu: setup ## the tests that need a CUDA device
	@$(BIN)/python -c "import sys, torch; sys.exit(not torch.cuda.is_available())" || { \
	echo "=================================================================="; \
	echo "NO CUDA DEVICE: torch sees none, so not one GPU test was run."; \
	echo "(A driver but no device? '$(BIN)/simplex-lab doctor' says which torch build this is.)"; \
	echo "=================================================================="; exit 1; }
	@echo "Tests on the GPU"
	@$(BIN)/pytest tests -m gpu

notebooks: setup ## rebuild the notebooks whose sources changed
	@echo "Building notebooks"
	@$(BIN)/python tools/build.py
	@$(BIN)/python tools/readme_picture.py
	@$(BIN)/python -m tools.formula_sheet

site: setup $(VENV)/.site ## build the static site in .build/site
	@echo "Building the site"
	@$(BIN)/python -m tools.site

bundle: setup ## an offline bundle for a room without a network, in dist/ (BUNDLE_ARGS="--python 3.12 --platform macos-arm64")
	@$(BIN)/python -m tools.bundle $(BUNDLE_ARGS)

slides: setup $(VENV)/.site ## build a deck of slides for each chapter in .build/slides
	@echo "Building the slides"
	@$(BIN)/python -m tools.slides

$(VENV)/.site: requirements-site.lock | setup
	@echo "Installing what the site and the slides need"
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps -r requirements-site.lock && touch $@

check: setup ## the stored notebooks match their sources
	@echo "Checking notebooks against their sources"
	@$(BIN)/python tools/build.py --check

lint: setup ## ruff: errors and formatting
	@echo "Linting"
	@$(BIN)/ruff check $(RUFF_PATHS)
	@$(BIN)/ruff format --check $(RUFF_PATHS)

clean: ## remove the environment and caches; your answers in work/ stay
	@echo "Removing $(VENV), caches and build leftovers (work/ stays)"
	@rm -rf $(VENV) .build build dist .pytest_cache .ruff_cache .hypothesis
