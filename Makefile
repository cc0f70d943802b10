# Every command of the project. `make` alone lists them.

.DEFAULT_GOAL := help
.PHONY: help setup demo up down deploy undeploy train test-train evaluate endpoint-plan endpoint endpoint-delete drop query import-capture report backfill audit redrive rejected review label compact bench torture test check check-security check-packages fix lock clean
SHELL := /bin/sh

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV_OPTIONS := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url
SCONES := $(BIN)/python scones.py
# ON=aws: ask the deployed system, not the laptop's.
export SCONES_ON := $(ON)

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## install what everything else needs into .venv

# The stamp is written last: a half-made environment is made anew.
$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1): make PYTHON=python3.11 …"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "error: $(PYTHON) lacks venv: apt-get install python3-venv"; exit 1; }
	@echo "Setting up $(VENV), a minute or two …"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	@touch $@

demo: $(READY) ## the main job, once through, on images drawn for it
	@$(SCONES) demo

up: $(READY) ## start the embedded AWS and the endpoint [MODEL=folder] (SCONES_HOME=, SCONES_PORT=)
	@$(SCONES) up $(if $(MODEL),--model "$(MODEL)")

down: $(READY) ## stop them; their state is kept
	@$(SCONES) down

deploy: $(READY) ## deploy to AWS: make deploy [MODEL=folder] [PARAMETERS="EndpointName=scones …"]
	@$(SCONES) deploy $(if $(MODEL),--model "$(MODEL)") $(PARAMETERS)

undeploy: $(READY) ## delete from AWS what `make deploy` made, all but the images and the results
	@$(SCONES) undeploy

drop: $(READY) ## drop a folder of images: make drop FROM=folder
	$(if $(FROM),,$(error say which folder: make drop FROM=folder))
	@$(SCONES) drop "$(FROM)"

# torch is large, and needed for nothing else. The SageMaker SDK and checkov need other versions of shared packages.
WITH_TORCH := .venv-train
WITH_SAGEMAKER := .venv-sagemaker
WITH_CHECKOV := .venv-checkov
WITH_PIP_AUDIT := .venv-packages
.venv-%/.ready: requirements/%.lock $(READY)
	@echo "Setting up .venv-$*, some minutes …"
	@rm -rf .venv-$*
	@$(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r $<
	@touch $@

train: $(WITH_TORCH)/.ready ## train a model: make train DATA=archive-or-folder CLASSES="bicycle motorcycle" [OUT=folder]
	@$(WITH_TORCH)/bin/python -c 'from infra.cli.model import train; train()' $(if $(DATA),--data "$(DATA)") $(if $(CLASSES),--classes "$(CLASSES)") \
	  $(if $(OUT),--out "$(OUT)")

test-train: $(WITH_TORCH)/.ready ## the tests that need torch
	@$(WITH_TORCH)/bin/python -m pytest tests/train

evaluate: $(READY) ## measure a model: make evaluate DATA=archive-or-folder [URL=http://…] [OUT=folder]
	$(if $(DATA),,$(error say on what: make evaluate DATA=folder))
	@$(SCONES) evaluate --data "$(DATA)" $(if $(URL),--endpoint-url "$(URL)") $(if $(OUT),--out "$(OUT)")

ENDPOINT_NAME ?= scones
SAGEMAKER = -c 'from infra.cli.sagemaker import sagemaker; sagemaker()'
ENDPOINT = $(SAGEMAKER) endpoint --name $(ENDPOINT_NAME) \
  --role-arn "$(ROLE_ARN)" --bucket "$(BUCKET)" --image "$(IMAGE)" $(if $(MODEL),--weights "$(MODEL)")
endpoint-plan: $(READY) ## what `make endpoint` would create, and its cost an hour (same variables)
	@$(BIN)/python $(ENDPOINT) --dry-run

endpoint: $(WITH_SAGEMAKER)/.ready ## our container on SageMaker: ROLE_ARN= BUCKET= IMAGE= [ENDPOINT_NAME=] [MODEL=folder]
	@$(WITH_SAGEMAKER)/bin/python $(ENDPOINT)

endpoint-delete: $(WITH_SAGEMAKER)/.ready ## delete the endpoint and what it is made of [ENDPOINT_NAME=]
	@$(WITH_SAGEMAKER)/bin/python $(SAGEMAKER) delete --name $(ENDPOINT_NAME)

query: export SCONES_SQL = $(value SQL)
# Said on the command line: Windows' Linux has another NAME in the environment.
query: SAVED = $(if $(filter command,$(origin NAME)),$(NAME))
query: $(READY) ## ask in Athena's SQL: SQL="SELECT …", or a saved query: NAME=review_queue [WEEK=2026-W47]; alone, list those
	@$(SCONES) query $(if $(SAVED),--name "$(SAVED)") $(if $(WEEK),--week "$(WEEK)") $(if $(value SQL),-- "$$SCONES_SQL")

report: $(READY) ## the weekly report: make report [WEEK=2026-W47] [COMPARE=2026-W46] [OUT=folder]
	@$(SCONES) report $(if $(WEEK),--week "$(WEEK)") $(if $(COMPARE),--compare "$(COMPARE)") $(if $(OUT),--out "$(OUT)")

import-capture: $(READY) ## SageMaker's capture files into the table: FROM=folder-or-s3://… [CLASSES=a,b] [THRESHOLD=0.9]
	$(if $(FROM),,$(error say from where: make import-capture FROM=folder))
	@$(SCONES) import-capture $(if $(CLASSES),--classes "$(CLASSES)") $(if $(THRESHOLD),--threshold "$(THRESHOLD)") "$(FROM)"

compact: $(READY) ## make few large files of each day's many small ones
	@$(SCONES) compact

backfill: $(READY) ## classify all under a prefix in batches, again if need be: make backfill PREFIX=2026/11/
	$(if $(filter undefined,$(origin PREFIX)),$(error say which keys: make backfill PREFIX=2026/11/ (PREFIX= means all)))
	@$(SCONES) backfill -- "$(PREFIX)"

audit: $(READY) ## is anything missing or doubled? make audit [PREFIX=…] [INVENTORY=s3://…/manifest.json] [IN_FLIGHT=seconds]
	@$(SCONES) audit $(if $(PREFIX),--prefix "$(PREFIX)") $(if $(INVENTORY),--inventory "$(INVENTORY)") $(if $(IN_FLIGHT),--in-flight "$(IN_FLIGHT)")

redrive: $(READY) ## what failed, is missing or undelivered, once more: make redrive, then make redrive APPLY=1
	@$(SCONES) redrive $(if $(APPLY),--apply) $(if $(IN_FLIGHT),--in-flight "$(IN_FLIGHT)")

rejected: $(READY) ## rejected images and why: make rejected [DOWNLOAD=folder]
	@$(SCONES) rejected $(if $(DOWNLOAD),--download "$(DOWNLOAD)")

review: $(READY) ## images below the threshold, to label: make review [SINCE=2026-11-16] [SAMPLE=50] [OUT=folder]
	@$(SCONES) review $(if $(SINCE),--since "$(SINCE)") $(if $(SAMPLE),--sample "$(SAMPLE)") $(if $(OUT),--out "$(OUT)")

label: $(READY) ## load a labels file: make label FROM=labels.jsonl (or s3://bucket/key)
	$(if $(FROM),,$(error say which file: make label FROM=labels.jsonl))
	@$(SCONES) label -- "$(FROM)"

torture: $(READY) ## break all that can break while images go in: is one lost, doubled, wrong? [SEED=1] [IMAGES=500]
	@$(SCONES) torture $(if $(SEED),--seed "$(SEED)") $(if $(IMAGES),--images "$(IMAGES)")

bench: $(READY) ## measure speed and memory against their budgets
	@$(SCONES) bench

# Two files at a time: the tests of whole systems wait more than they compute.
test: $(READY) ## run every test
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(READY) ## format, lint and types; changes nothing
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m infra.aws.generate --check

check-security: $(WITH_CHECKOV)/.ready ## lint the template with checkov, in an environment of its own
	@$(WITH_CHECKOV)/bin/checkov --config-file .checkov.yaml

check-packages: $(WITH_PIP_AUDIT)/.ready ## ask PyPI for known vulnerabilities of the pinned packages; writes build/sbom.json
	@mkdir -p build
	@$(WITH_PIP_AUDIT)/bin/pip-audit --require-hashes --disable-pip --progress-spinner off -r requirements.lock \
	  --format cyclonedx-json --output build/sbom.json
	@for lock in requirements/*.lock model/requirements.txt; do \
	  $(WITH_PIP_AUDIT)/bin/pip-audit --require-hashes --disable-pip --progress-spinner off -r $$lock || exit 1; done

fix: $(READY) ## mend what can be mended by itself
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/python -m infra.aws.generate

lock: ## pin anew what pyproject.toml asks for; needs uv
	@uv pip compile $(UV_OPTIONS) --group dev pyproject.toml --output-file requirements.lock
	@uv pip compile $(UV_OPTIONS) --no-annotate -c requirements.lock --extra train --group dev pyproject.toml -o requirements/train.lock
	@uv pip compile $(UV_OPTIONS) --no-annotate --group sagemaker -o requirements/sagemaker.lock
	@uv pip compile $(UV_OPTIONS) --no-annotate --group checkov -o requirements/checkov.lock
	@uv pip compile $(UV_OPTIONS) --no-annotate --group packages -o requirements/packages.lock
	@uv pip compile $(UV_OPTIONS) --no-annotate -c requirements.lock --group container -o model/requirements.txt

clean: ## remove all that was built, the environment and the laptop's state included
	@if [ -f build/stack.json ] && [ -f $(READY) ]; then $(SCONES) down; fi
	@rm -rf $(VENV) $(VENV)-* build .pytest_cache .mypy_cache .ruff_cache .hypothesis
