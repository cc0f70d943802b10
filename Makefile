# Every command of the project. `make` alone lists them.
#
# A command of `scones` is a target: `make drop FROM=folder` is `scones drop folder`. NAME=value reaches it in the
# environment, as SCONES_MAKE_NAME, byte for byte: neither make nor a shell interprets it. make turns every exit
# code but 0 into 2. A script that has to tell 1 (it broke) from 3 (it asks for attention) runs
# `.venv/bin/scones report` instead: see docs/decisions/0074-one-command-line.md.

.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
WITH_TORCH := .venv-train
WITH_SAGEMAKER := .venv-sagemaker
UV_OPTIONS := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url
SCONES = $(BIN)/python scones.py
WITH_CHECKOV := .venv-checkov
WITH_PIP_AUDIT := .venv-packages
WITH_IMAGES := .venv-images
WITH_MUTANTS := .venv-mutants
WITH_SAM := .venv-sam
WITH_CLIENTS := .venv-clients

COMMANDS := demo up down console deploy doctor undeploy package drop smoke traffic evaluate query cost import-capture report backfill audit redrive rejected \
  why review label certify learn compact promote image
TORCH_COMMANDS := train
SAGEMAKER_COMMANDS := endpoint check-endpoint endpoint-delete endpoint-train endpoint-calibrate endpoint-rollback
PROOFS := torture bench simulate
# NAME=value counts from the environment too, where it always did. Windows' Linux sets NAME itself.
FROM_ENVIRONMENT := APPLY BUCKET CLASSES COMPARE DATA DOWNLOAD ENDPOINT_NAME FROM IMAGE IMAGES INVENTORY IN_FLIGHT \
  MODEL MODEL_IN ON OUT PARAMETERS PREFIX ROLE_ARN ROWS SAMPLE SCENARIO SEED SINCE SQL THRESHOLD URL WEEK

# Names alone, for a command to refuse what it does not know. Before `override`, which changes their origin.
SCONES_TYPED := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
SCONES_GOALS := $(MAKECMDGOALS)
export SCONES_TYPED SCONES_GOALS

# What was typed is text: without `override`, make would expand `$(...)` in it on its way to every process.
define forward
export SCONES_MAKE_$(1) := $$(value $(1))
endef
$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(eval override $(name) := $$(value $(name)))\
  $(eval $(call forward,$(name)))))
$(foreach name,$(FROM_ENVIRONMENT),$(if $(filter environment,$(origin $(name))),$(eval $(call forward,$(name)))))
export PYTHON
# A user's own setting installs outside of every environment.
export PIP_USER := 0
# Settings for a user's other Pythons: PYTHONHOME would break this one, PIP_USER what is installed.
unexport $(filter-out PYTHON,$(filter PYTHON%,$(.VARIABLES))) PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT

.PHONY: help setup $(COMMANDS) $(TORCH_COMMANDS) $(SAGEMAKER_COMMANDS) endpoint-plan $(PROOFS) test test-train test-decoders test-sam test-clients test-pages fuzz mutants check \
  check-trino check-security check-packages fix lock clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-22s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@if [ -f $(READY) ]; then SCONES_MAKE=1 $(SCONES) --help; else \
	  echo "  make $(COMMANDS) $(TORCH_COMMANDS) $(SAGEMAKER_COMMANDS): after 'make setup', 'make' describes them"; fi

setup: $(READY) ## install what everything else needs into .venv

# The stamp is written last: a half-made environment is made anew.
$(READY): requirements.lock
	@"$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: Python 3.11 or newer is needed, $$PYTHON is $$("$$PYTHON" --version 2>&1): make PYTHON=python3.11 …"; \
	  exit 1; }
	@"$$PYTHON" -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "error: $$PYTHON lacks venv: apt-get install python3-venv"; exit 1; }
	@echo "Setting up .venv, a minute or two …"
	@rm -rf .venv
	@"$$PYTHON" -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	@$(BIN)/python -c 'import shlex, sys; print("#!/bin/sh\nexec", shlex.join(sys.argv[1:]), "\"$$@\"")' \
	  "$$PWD/$(BIN)/python" "$$PWD/scones.py" >$(BIN)/scones
	@chmod +x $(BIN)/scones
	@touch $@

$(COMMANDS) $(TORCH_COMMANDS) $(SAGEMAKER_COMMANDS) endpoint-plan $(PROOFS): export SCONES_MAKE := 1

$(COMMANDS): $(READY)
$(TORCH_COMMANDS): $(WITH_TORCH)/.ready
$(TORCH_COMMANDS): BIN := $(WITH_TORCH)/bin
$(SAGEMAKER_COMMANDS): $(WITH_SAGEMAKER)/.ready
$(SAGEMAKER_COMMANDS): BIN := $(WITH_SAGEMAKER)/bin
$(COMMANDS) $(TORCH_COMMANDS) $(SAGEMAKER_COMMANDS):
	@$(SCONES) $@

endpoint-plan: $(READY) ## what `make endpoint` would create, and its cost an hour (same variables)
	@$(SCONES) endpoint --dry-run

torture: ## fault injection: check that no image is lost, duplicated or wrong [SEED=1] [IMAGES=500] [SCENARIO=…|all]
simulate: ## check on bursts and made-up weeks what Scones promises [SUITE=bursts|challenger|labels|report] [SEED=1] [RUNS=10000]
bench: ## compare speed with a plain script and with the seed's design, part by part [IMAGES=400] [QUICK=1] [FLAT=1] [KEEP=1] [ROWS=10000000]
$(PROOFS): $(READY)
	@$(BIN)/python -m tests.$@

# torch is large, and needed for nothing else. The SageMaker SDK and checkov need other versions of shared packages.
.venv-%/.ready: requirements/%.lock $(READY)
	@echo "Setting up .venv-$*, some minutes …"
	@rm -rf .venv-$*
	@"$$PYTHON" -m venv .venv-$*
	@.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r $<
	@touch $@

test-train: $(WITH_TORCH)/.ready ## run the tests that need torch
	@$(WITH_TORCH)/bin/python -m pytest tests/train

test-decoders: $(WITH_IMAGES)/.ready ## compare what Scones reads of images with two other decoders
	@$(WITH_IMAGES)/bin/python -m pytest tests/unit/test_second_decoder.py

test-sam: $(WITH_SAM)/.ready ## deploy what `make package` leaves to the embedded AWS with the SAM CLI
	@PATH="$$PWD/$(WITH_SAM)/bin:$$PATH" $(BIN)/python -m pytest tests/e2e/test_sam.py

# Warnings are the clients' own.
test-clients: $(WITH_CLIENTS)/.ready ## ask the laptop's system with PyAthena, awswrangler, s3fs and DuckDB
	@$(WITH_CLIENTS)/bin/python -m pytest -W default tests/clients

# npm runs no script of a package, and takes the one whose hash is in the lock.
test-pages: $(READY) ## test the console's pages in Chromium, with axe-core from npm; measures frames
	@mkdir -p build/pages
	@cp tests/pages/package.json tests/pages/package-lock.json build/pages
	@npm ci --prefix build/pages --ignore-scripts --no-audit --no-fund --silent
	@SCONES_TEST_PAGES=1 $(BIN)/python -m pytest -s tests/pages

fuzz: $(WITH_IMAGES)/.ready ## fuzz the image step for an hour; its inputs stay in build/fuzz
	@mkdir -p build/fuzz
	@$(WITH_IMAGES)/bin/python -m tests.fuzz_image build/fuzz -max_total_time=3600 -artifact_prefix=build/

mutants: $(WITH_MUTANTS)/.ready ## change the code in small ways; list what no test notices, in hours [ONLY='analytics.lake.*']
	@$(WITH_MUTANTS)/bin/mutmut run --max-children 1 $${SCONES_MAKE_ONLY:+"$$SCONES_MAKE_ONLY"}
	@$(WITH_MUTANTS)/bin/mutmut results

# Three files at a time, as tests of whole systems wait more than they compute, and those first: the last files are short
# ones, so that all workers end together.
test: $(READY) ## run every test
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: $(READY) ## format, lint and types; changes nothing
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m infra.aws.generate --check

check-trino: $(READY) ## compare the local Athena with a real Trino, and write its facts; needs Java 24
	@$(BIN)/python -m tests.trino

check-security: $(WITH_CHECKOV)/.ready ## lint the template with checkov, in an environment of its own
	@$(WITH_CHECKOV)/bin/checkov --config-file .checkov.yaml

# --strict: a package that PyPI does not tell anything about would count as one without vulnerabilities.
check-packages: $(WITH_PIP_AUDIT)/.ready ## ask PyPI for known vulnerabilities of the pinned packages; writes build/sbom.json
	@mkdir -p build
	@$(WITH_PIP_AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements.lock \
	  --format cyclonedx-json --output build/sbom.json
	@for lock in requirements/*.lock model/requirements.txt; do \
	  $(WITH_PIP_AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r $$lock || exit 1; done

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
	@uv pip compile $(UV_OPTIONS) --no-annotate --group sam -o requirements/sam.lock
	@uv pip compile $(UV_OPTIONS) --no-annotate -c requirements.lock --group images --group dev pyproject.toml -o requirements/images.lock
	@uv pip compile $(UV_OPTIONS) --no-annotate --group clients -o requirements/clients.lock
	@uv pip compile $(UV_OPTIONS) --no-annotate -c requirements.lock --group mutants --group dev pyproject.toml -o requirements/mutants.lock
	@uv pip compile $(UV_OPTIONS) --no-annotate -c requirements.lock --group container -o model/requirements.txt

clean: ## remove all that was built, the environments and the state in build included; a SCONES_HOME elsewhere stays
	@if [ -f build/stack.json ] && [ -f $(READY) ]; then SCONES_HOME= $(SCONES) down; fi
	@rm -rf .venv .venv-* build mutants .pytest_cache .mypy_cache .ruff_cache .hypothesis
