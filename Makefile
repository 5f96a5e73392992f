# Every target explains itself: `make help`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
DISTRIBUTIONS := shared services/api services/trainer-worker services/inference deploy/embedded
TORCH := torch==2.13.0
STAMP := $(VENV)/.installed
# Each test process has its own servers; the tests of a module stay together.
TEST_PROCESSES ?= 2
SOURCES := shared/src services/*/src deploy/embedded/src tests benchmarks

.DEFAULT_GOAL := help
.PHONY: help setup run up test check lint types imports format contract trial-large-upload lock clean

help: ## Show what each target does
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Install everything into .venv (done by the other targets when needed)

$(STAMP): constraints.txt $(DISTRIBUTIONS:%=%/pyproject.toml)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r constraints.txt
	@# torch stands outside the lock: a wheel that lies on the machine, else the build for its processor or GPU.
	if [ -n "$$PIP_FIND_LINKS" ]; then UV_FIND_LINKS="$$PIP_FIND_LINKS" $(UV) pip install --quiet --python $(BIN)/python $(TORCH); \
	else $(UV) pip install --quiet --python $(BIN)/python --torch-backend=auto $(TORCH); fi
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(DISTRIBUTIONS:%=-e %)
	touch $(STAMP)

run: $(STAMP) ## Start the whole platform, train a small Persian model and chat with it
	$(BIN)/simorgh quickstart

up: $(STAMP) ## Start the whole platform and keep it up until Ctrl-C
	$(BIN)/simorgh up

test: $(STAMP) check ## Lint, types, import rules and all tests, on real servers; 85 % of the lines must have run
	rm -rf .coverage-lines
	PYTHONPATH=$(CURDIR)/tests/house/lines $(BIN)/pytest -q -n $(TEST_PROCESSES) --dist loadfile
	@$(BIN)/python -m tests.house.lines_report

check: lint types imports ## Lint, types and import rules, without the tests

lint: $(STAMP) ## Check style with ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## Check types with mypy (strict)
	$(BIN)/mypy

imports: $(STAMP) ## Check which package may import which
	$(BIN)/lint-imports

format: $(STAMP) ## Format the code
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format .

contract: $(STAMP) ## Write contracts/openapi.json from the code
	$(BIN)/python -m simorgh_api.contract contracts/openapi.json

trial-large-upload: $(STAMP) ## Send 5 GB straight to storage with a client that is killed twice (20 GB of disk, minutes)
	$(BIN)/python benchmarks/large_upload.py

lock: ## Compile constraints.txt anew from the distributions (needs .venv with uv)
	$(BIN)/python -c "import tomllib, sys; [print(d) for f in sys.argv[1:] for d in tomllib.load(open(f, 'rb'))['project']['dependencies'] \
	  if not d.startswith(('simorgh-', 'torch=='))]" $(DISTRIBUTIONS:%=%/pyproject.toml) > $(VENV)/distributions.in
	$(UV) pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  -o constraints.txt dev-requirements.in $(VENV)/distributions.in

clean: ## Delete what was installed and the embedded platform's data
	rm -rf $(VENV) data
