# Everything a newcomer needs: `make run` and `make test`. Python 3.11 or newer is enough.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
STAGE ?= dev
TARGET ?= ministack
RATE ?= 0.2
PROCESSES ?= 2
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help run demo test thorough check audit manifest openapi simulate e2e e2e-policies package deploy doctor \
	destroy killers peers test-peers fuzz bench clean

help:  ## Show what there is
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.txt requirements-dev.txt
	@echo "Setting up $(VENV), once; this takes a minute"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --no-compile --disable-pip-version-check -r requirements-dev.txt
	@touch $@

run: $(READY)  ## Run everything on this machine (PORT=8000)
	@exec $(PY) -m infra.local --port $(PORT)

demo: $(READY)  ## Invite the 200 sample people and show what it took
	@$(PY) -m infra.demo

test: $(READY)  ## Run the tests
	@$(PY) -m pytest -n 2 --dist loadgroup -p tests.rights tests/functional tests/unit

thorough: $(READY)  ## Run what takes seconds each: long tables of faults, races, outages
	@$(PY) -m pytest -n 2 --dist loadgroup -m thorough tests/emulator tests/local_cloud tests/functional tests/contract

check: $(READY)  ## Lint, types; contracts, the package, and what the tests themselves run on
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy chalicelib infra app.py
	@$(VENV)/bin/cfn-lint infra/template.yaml
	@$(PY) -m pytest -n 2 --dist loadfile tests/contract tests/package tests/doctor
	@$(PY) -m pytest -n 2 --dist loadgroup tests/emulator tests/local_cloud

audit: $(READY)  ## checkov over the template, bandit over the code, pip's own check
	@test -x .peers/checks/bin/checkov || { $(PYTHON) -m venv .peers/checks && \
		.peers/checks/bin/pip install --quiet --disable-pip-version-check -r infra/audit-requirements.txt; }
	@.peers/checks/bin/checkov --config-file infra/checkov.yaml
	@.peers/checks/bin/bandit --quiet --recursive chalicelib infra app.py --configfile pyproject.toml
	@$(VENV)/bin/pip check

manifest: $(READY)  ## List what the domains declare, in chalicelib/manifest.py
	@$(PY) -m infra.manifest

openapi: $(READY)  ## Acknowledge how the API changed, in docs/openapi.json
	@$(PY) -m infra.openapi

simulate: $(READY)  ## Try to break the promises: the tests of the simulation, or SEEDS=500
ifdef SEEDS
	@$(PY) -m tests.simulation --seeds $(SEEDS) --rate $(RATE) --processes $(PROCESSES) $(CONFLICTS)
	@$(PY) -m tests.simulation --flow projects --seeds $(SEEDS) --rate $(RATE) --processes $(PROCESSES) $(CONFLICTS)
else
	@$(PY) -m pytest -n $(PROCESSES) -m simulate tests/simulation
endif

package: $(READY)  ## Make what ships to Lambda, where `chalice deploy` finds it (STAGE=dev)
	@$(PY) -m infra.package --stage $(STAGE)

deploy: $(READY)  ## Deploy a stage to AWS, or bring it up to date (STAGE=dev ALARM_EMAIL=...)
	@$(PY) -m infra.deploy --stage $(STAGE)

doctor: $(READY)  ## Compare a stage on AWS with what it should be (STAGE=dev)
	@$(PY) -m infra.doctor --stage $(STAGE)

destroy: $(READY)  ## Take a stage down; asks first, keeps data in prod (STAGE=dev)
	@$(PY) -m infra.destroy --stage $(STAGE)

e2e: $(READY)  ## Deploy to an emulator of AWS and run the scenarios there (TARGET=aws STAGE=...: on AWS)
ifeq ($(TARGET),aws)
	@$(PY) -m tests.e2e.real --stage $(STAGE)
else
	@$(PY) -m tests.e2e.ministack install
	@$(PY) -m pytest tests/e2e
endif

e2e-policies: $(READY)  ## Show that no function's policy has an action too many
	@$(PY) -m tests.e2e.ministack install
	@$(PY) -m pytest -m policies tests/e2e/test_policies.py

killers: $(READY)  ## Kill workers at random moments and see that nothing is lost
	@$(PY) -m tests.e2e.ministack install
	@$(PY) -m pytest -m killers tests/killers

peers: $(READY)  ## Install the third-party servers and tools that tests run beside us
	@$(PY) -m tests.peers.install

test-peers: peers  ## Run beside a real OpenID provider, OpenStack Keystone and browser
	@$(PY) -m pytest tests/peers --ignore tests/peers/fuzz

fuzz: peers  ## Schemathesis over the API's own description, with all its checks
	@$(PY) -m pytest -n 2 tests/peers/fuzz

bench: $(READY)  ## Measure what the shipped code costs, on quiet cores (BENCH="--queues")
	@$(PY) -m tests.bench $(BENCH)

clean:  ## Remove what was installed and built
	rm -rf $(VENV) .peers build .pytest_cache .mypy_cache .ruff_cache
