# `make help` lists the targets. Everything runs in .venv, which `make setup` builds from requirements.lock.

PYTHON ?= python3
SOURCE ?=
CONFIG ?=
ARGS ?=
HOST ?= 127.0.0.1
PORT ?= 8080
MLFLOW_PORT ?= 5000
TENSORBOARD_PORT ?= 6006
SERVE_PORT ?=
REVIEW_PORT ?=
PIPELINE_HOME ?= workspace
MINUTES ?= 60
SEED ?=
KEY ?=
VERSION ?=
LOCK ?= requirements.lock
PYTHON_VERSION := 3.13

VENV := .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
READY := $(VENV)/.ready
export PIPELINE_HOME
# Paths and addresses reach the programs by the environment, letter by letter: make expands no "$" in them, and no shell
# sees their quotes and spaces.
$(foreach name,SOURCE CONFIG KEY SERVE_PORT REVIEW_PORT SETTINGS PIPELINE_HOME PIPELINE_CONFIG PIPELINE_STORE MNIST_DIR TFDS_DATA_DIR SECRETS \
  MLFLOW_TRACKING_URI NOTIFY_WEBHOOK_URL NOTIFY_APPRISE_URLS NOTIFY_HEARTBEAT_URL,\
  $(if $(filter-out undefined,$(origin $(name))),$(eval override $(name) := $$(value $(name)))$(eval export $(name))))
# This variable forbids compiled bytecode; without it every process would compile TensorFlow's sources again.
unexport PYTHONDONTWRITEBYTECODE

# A worker more than there are cores (tests/support/xdist_scheduler.py); it and what it starts take two gigabytes.
PROCESSES := --numprocesses logical --maxprocesses 4

SUPPORTED = $(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else \
  f"Python {v.major}.{v.minor} is not supported: call make PYTHON=python3.12 (3.11 to 3.13)")'
# Needs the standard library only, so it works without .venv too.
CONTAINERS = $(if $(wildcard $(READY)),$(PY),$(SUPPORTED) && $(PYTHON)) -m pipeline.compose

# The workspace, as the pipeline reads PIPELINE_HOME.
ROOT := $(PY) -c 'from pipeline.home import Home; print(Home.from_environment().root)'

.DEFAULT_GOAL := help
.PHONY: help setup pipeline review sign quick test test-python test-airflow test-docker format check coverage mutate attack airflow airflow-shell airflow-service up down serve mlflow tensorboard bench \
  bench-training bench-serving lock lock-images clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make pipeline SOURCE=digits                 the built-in digits: no network, under a minute"
	@echo "  make pipeline SOURCE=~/pictures/animals     your own folder of images"
	@echo "  make pipeline ARGS='--set train.epochs=3'   any of the settings that python -m pipeline settings lists"

setup: $(READY) ## build .venv from the lock, or LOCK=requirements-gpu.lock (with uv, installed first where it is missing; else with pip)

$(READY): $(LOCK)
	@$(SUPPORTED)
	@.ci/setup "$(PYTHON)" $(VENV) $(LOCK)
	@touch $@

pipeline: setup ## run the pipeline: SOURCE=mnist|digits|tfds:NAME|FOLDER, CONFIG=FILE, ARGS='--set a.b=c'
	@$(PY) -m pipeline run $${SOURCE:+--source "$$SOURCE"} $${CONFIG:+--config "$$CONFIG"} $(ARGS)

review: setup ## review suspected labels, mistakes and duplicates on a page: keep, correct or drop (SOURCE, CONFIG, REVIEW_PORT, ARGS='--model NAME')
	@$(PY) -m pipeline review $${SOURCE:+--source "$$SOURCE"} $${CONFIG:+--config "$$CONFIG"} $${REVIEW_PORT:+--port "$$REVIEW_PORT"} $(ARGS)

quick: setup ## the tests that need neither training nor a server: under a minute, for every save
	@$(PY) -m pytest -q $(PROCESSES) --quick $(ARGS)

test: setup ## all tests (MNIST_DIR=FOLDER adds those on real MNIST; ARGS="-m 'not airflow'" leaves out Airflow)
	@$(PY) -m pytest $(PROCESSES) $(ARGS)

OTHER := $(VENV)-$(PYTHON_VERSION)
FIND := $(UV) python find $(PYTHON_VERSION) 2>/dev/null

test-python: setup ## the tests without Airflow, Celery and containers on PYTHON_VERSION=3.12 or 3.13, which uv installs if need be, in .venv-VERSION
	@python=$$($(FIND) || { $(UV) python install $(PYTHON_VERSION) && $(FIND); }) && \
	  $(MAKE) --silent setup VENV=$(OTHER) PYTHON="$$python"
	@$(OTHER)/bin/python -m pytest $(PROCESSES) -m 'not airflow and not celery and not docker' $(ARGS)

test-airflow: setup ## only the tests that run tasks in a real Airflow and look at it with Chromium
	@$(PY) -m pytest -m airflow $(ARGS)

test-docker: setup ## only the tests that build the images and run the containers (needs docker; about 20 minutes)
	@$(PY) -m pytest -m docker tests/pipeline/compose $(ARGS)

sign: setup ## sign the files of a registered version with a private key, offline (KEY=FILE, VERSION=champion, ARGS='--name MODEL')
	@$(PY) -m pipeline sign $(if $(VERSION),"$(VERSION)") $${KEY:+--key "$$KEY"} $(ARGS)

format: setup ## format the code and sort its imports (ruff)
	@$(VENV)/bin/ruff check --quiet --fix .
	@$(VENV)/bin/ruff format .

check: setup ## ruff, mypy, import contracts, declared dependencies, then make test
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/deptry .
	@$(VENV)/bin/deptry tests --exclude "$(VENV)|tests/serving/clients" --ignore DEP002,DEP004
	@$(PY) -m pytest $(PROCESSES) $(ARGS)

coverage: setup ## make test with the coverage of all processes, children included (slower: each is traced); below 87 % it fails
	@$(PY) -m pytest $(PROCESSES) --cov --cov-report=term $(ARGS)

mutate: setup ## change what judges and names in one place after another: do its tests notice? (hours; ARGS=pipeline/garbage.py: a module)
	@$(PY) -m tests.mutation $(ARGS)

attack: setup ## kill, damage, fill disks and change inputs at random: does every run recover? (MINUTES=60, SEED, ARGS='--jobs 2')
	@$(PY) -m tests.faults --minutes "$(MINUTES)" $(if $(SEED),--seed "$(SEED)") $(ARGS)

airflow: setup ## Airflow with the DAGs of CONFIG, a settings file or a folder of them: prints its address and login (HOST, PORT, MLFLOW_PORT, CONFIG)
	@PIPELINE_CONFIG="$${CONFIG:-$$PIPELINE_CONFIG}" $(PY) -m pipeline.airflow --host $(HOST) --port $(PORT) --mlflow-port $(MLFLOW_PORT)

airflow-shell: setup ## a shell whose command airflow is that of make airflow (ARGS='dags list': one command)
	@$(PY) -m pipeline.airflow.standalone.shell $(ARGS)

airflow-service: setup ## make airflow as a service of systemd or launchd: writes its file, prints its commands (HOST, PORT, CONFIG)
	@PIPELINE_CONFIG="$${CONFIG:-$$PIPELINE_CONFIG}" $(PY) -m pipeline.airflow.standalone.service --host $(HOST) --port $(PORT) --mlflow-port $(MLFLOW_PORT)

# These two need docker and a Python, but no .venv.
up: ## build and start the containers of docker/, wait until all are healthy (PORT, MLFLOW_PORT, SERVE_PORT, SOURCE, WORKERS, CONFIG)
	@export PORT=$(PORT) MLFLOW_PORT=$(MLFLOW_PORT); $(CONTAINERS) up

down: ## stop the containers (VOLUMES=1 also deletes their data and the secrets)
	@$(CONTAINERS) down $(if $(VOLUMES),--volumes)

serve: setup ## answer requests with the champion, and follow it (HOST, SERVE_PORT, ARGS='--model NAME')
	@$(PY) -m serving $(if $(filter file,$(origin HOST)),,--host $(HOST)) $${SERVE_PORT:+--port "$$SERVE_PORT"} $${CONFIG:+--config "$$CONFIG"} $(ARGS)

mlflow: setup ## the MLflow UI of the local registry (HOST, MLFLOW_PORT)
	@env -u MLFLOW_TRACKING_URI $(PY) -m pipeline.mlflow_ui --host $(HOST) --port $(MLFLOW_PORT)

tensorboard: setup ## TensorBoard with every training so far (HOST, TENSORBOARD_PORT)
	@$(VENV)/bin/tensorboard --logdir "$$($(ROOT))/tensorboard" --host $(HOST) --port $(TENSORBOARD_PORT)

bench: setup ## measure speed, memory and accuracy as ratios (about 40 minutes; ARGS=--quick for a tenth)
	@$(PY) -m benchmarks $(ARGS)

bench-training: setup ## train the profiles of the results table on MNIST (hours; resumable; ARGS='fast tiny --seeds 1')
	@$(PY) -m benchmarks.training $(ARGS)

bench-serving: setup ## measure make serve beside a bare server, Flask and MLflow's server (five minutes; ARGS='--rounds 1')
	@$(PY) -m benchmarks.serving $(ARGS)

# The images' locks take their versions from the first. MLflow's server does without the packages its clients compute with.
NOT_SERVED := pyarrow scipy scikit-learn skops joblib threadpoolctl narwhals \
  matplotlib contourpy cycler fonttools kiwisolver pillow pyparsing
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate \
  --custom-compile-command 'make lock' --python-version 3.11

lock: setup ## resolve pyproject.toml into requirements.lock with the newest versions, and the images' locks from it
	@$(COMPILE) --upgrade --extra dev --extra cluster --extra sign -o requirements.lock pyproject.toml
	@cd tests/serving/clients && ../../../$(COMPILE) --upgrade -o requirements.lock requirements.in
	@cd tests/mutation && ../../$(COMPILE) --upgrade -o requirements.lock requirements.in
	@$(MAKE) --no-print-directory lock-images

lock-images: setup ## only the images' locks, with the versions of requirements.lock
	@$(COMPILE) --extra cluster -c requirements.lock -o docker/requirements.lock pyproject.toml
	@$(COMPILE) $(NOT_SERVED:%=--no-emit-package %) -c requirements.lock -o docker/mlflow.lock docker/mlflow.in
	@$(COMPILE) -c requirements.lock -o docker/serving.lock docker/serving.in
	@$(COMPILE) --extra dev --extra cluster --extra sign --extra gpu --no-emit-package tensorflow-cpu \
	  -c requirements.lock -o requirements-gpu.lock pyproject.toml

clean: ## delete .venv and the caches (not the workspace: that is python -m pipeline gc)
	@rm -rf $(VENV) $(VENV)-* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.*
