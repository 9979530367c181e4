# Two commands do all the set-up: `make run` runs the example pipeline, `make test` the tests.

PYTHON ?= python3
DATE ?= 2013-07-01
PIPELINE ?= dags/platform_scores.yaml
SECONDS ?= 600
HASHED := --quiet --universal --upgrade --python-version 3.13 --generate-hashes --no-header --no-annotate
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test slow venvs torch durations full unit compat clouds terraform terraform-arguments spark spark-quick versions faults check lint types contract chart chart-security crds editor drain e2e-compose e2e-kubernetes format docs lock benchmark page-benchmark clean

help: ## Show what there is to make.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Dependencies as they were tested. uv resolves in seconds; where it cannot be had, pip does the same in a minute.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "airflow-wall needs Python 3.11 or later; name one: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1" "uv>=0.8" || $(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@if [ -x $(BIN)/uv ] && $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[local]' $(1); then :; \
	else $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[local]' $(1); fi
endef

$(VENV)/.installed-examples: pyproject.toml constraints.txt
	$(call install,--group examples)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt
	$(call install,--group dev)
	@touch $@ $(VENV)/.installed-examples

run: $(VENV)/.installed-examples ## Run the example pipeline for DATE (by default 2013-07-01) on real data.
	@$(BIN)/python examples/nycflights13/land.py --until $(DATE) lake/landing
	@$(BIN)/airflow-wall run $(PIPELINE) --date $(DATE) || [ $$? = 4 ] # 4: there is nothing to do

# Two processes, each with a file of tests at a time; tests/conftest.py puts the slowest files first.
TESTS := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.installed-dev ## Run the tests, without those of `make slow`.
	@$(TESTS) -m "not slow and not full" $(PYTEST)

slow: $(VENV)/.installed-dev ## Run the tests that kill, drain and wait.
	@$(TESTS) -m slow $(PYTEST)

venvs: $(VENV)/.installed-dev ## Run steps with packages of their own, in virtual environments that are built for them.
	@$(TESTS) -m full $(PYTEST)

torch: ## Train and score models of PyTorch, in a virtual environment of their own: the wheel is large.
	@PYTHON=$(PYTHON) tests/pytorch/run.sh $(PYTEST)

durations: $(VENV)/.installed-dev ## Measure how long each test file takes, and record it for the order of the next runs.
	@$(TESTS) --record-durations

unit: $(VENV)/.installed-dev ## Run the tests that need no server.
	@$(BIN)/python -m pytest -m "not integration"

compat: $(VENV)/.installed-dev ## Build documents in Airflow's own format beside the newest Airflow that has it.
	@PYTHON=$(PYTHON) tests/compat/run.sh

clouds: ## Start, use, break and end clusters of EMR and Dataproc, over a real wire to emulators of both.
	@PYTHON=$(PYTHON) tests/clouds/run.sh $(or $(PYTEST),-m "not slow")

spark: ## Start, use, break and end real clusters of Spark; its results are those of the embedded engine.
	@PYTHON=$(PYTHON) tests/spark/run.sh $(PYTEST)

spark-quick: ## The part of `make spark` that breaks no cluster; it is in the gate.
	@$(MAKE) --no-print-directory spark PYTEST="-k 'test_equal or test_spark_pipelines or test_predict_scores or done_by_an_executor'"

terraform: $(VENV)/.installed-dev ## Test deploy/ as far as it can be without an account; needs Terraform or OpenTofu.
	@PYTHON=$(PYTHON) tests/terraform/run.sh $(PYTEST)

terraform-arguments: ## Write the arguments of AWS resources anew, by which `make terraform` judges deploy/.
	@PYTHON=$(PYTHON) tests/terraform/list.sh

versions: ## Run the example and the tests without servers on the lowest and newest versions; ONLY=lowest, newest, prerelease, python3.13.
	@ONLY="$(ONLY)" tests/versions/run.sh $(PYTEST)

faults: ## Start a whole Airflow, by either executor, hit every part of it at every step; ONLY=names, EXECUTOR=local or celery.
	@PYTHON=$(PYTHON) ONLY="$(ONLY)" EXECUTOR="$(EXECUTOR)" tests/faults/run.sh

full: ## Run everything that is proven anywhere, for hours; ends at the first suite that fails.
	$(MAKE) run
	$(MAKE) check test slow venvs
	$(MAKE) torch clouds spark compat versions
	$(MAKE) clouds PYTEST="-m slow"
	$(MAKE) drain fuzz chart-security faults e2e-compose

check: lint types contract chart ## Lint, types, import contract, chart.

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

contract: $(VENV)/.installed-dev
	$(BIN)/lint-imports

chart: $(VENV)/.installed-dev
	$(BIN)/helm lint --strict --quiet helm
	$(BIN)/helm template wall helm >/dev/null

chart-security: $(VENV)/.installed-dev ## Look through the chart with checkov, which is installed for it.
	@PATH="$(BIN):$$PATH" helm/ci/checkov.sh

crds: tests/chart/crds/node_modules/.package-lock.json ## Have what checks custom resources; needs Node.js.

tests/chart/crds/node_modules/.package-lock.json: tests/chart/crds/package-lock.json
	npm ci --prefix tests/chart/crds --ignore-scripts --no-audit --no-fund

editor: tests/language/editor/node_modules/.package-lock.json ## Have the language server of editors, for its test; needs Node.js.

tests/language/editor/node_modules/.package-lock.json: tests/language/editor/package-lock.json
	npm ci --prefix tests/language/editor --ignore-scripts --no-audit --no-fund

drain: $(VENV)/.installed-dev ## Terminate a hundred busy workers, and ten of a whole Airflow, and see that no task is lost.
	DRAINS=100 $(BIN)/python -m pytest -s tests/integration/test_chart_drain.py tests/integration/test_chart_pods.py

e2e-kubernetes: $(VENV)/.installed-dev ## Install, test, scale, upgrade and remove the chart on the cluster of KUBECONFIG.
	@PATH="$(BIN):$$PATH" tests/e2e/kubernetes.sh

format: $(VENV)/.installed-dev ## Format the code.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-dev ## Write the generated files: reference, chart, README links, schema, picture.
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/chart.py
	$(BIN)/python docs/readme_links.py
	$(BIN)/airflow-wall schema --output dags/airflow-wall.schema.json
	$(BIN)/airflow-wall graph $(PIPELINE) --svg docs/images/platform_scores.svg

lock: $(VENV)/.installed-dev ## Resolve the tested dependencies anew.
	$(BIN)/uv pip compile --quiet --universal --upgrade --no-header --no-annotate --all-extras --group dev --group clouds --group faults pyproject.toml -o constraints.txt
	$(BIN)/uv pip compile $(HASHED) --extra all --group image -c constraints.txt pyproject.toml -o image/requirements.txt
	for extra in amazon google spark; do $(BIN)/uv pip compile $(HASHED) --extra all --extra $$extra --group image -c constraints.txt pyproject.toml | $(BIN)/python image/added.py image/requirements.txt >image/$$extra.txt; done
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --no-header --no-annotate --extra local --group test pyproject.toml tests/versions/lowest.in -o tests/versions/lowest.txt
	printf 'cyclonedx-bom>=7\nhatchling>=1.27\nsetuptools>=80\n' | $(BIN)/uv pip compile $(HASHED) - -o image/tools.txt

e2e-compose: $(VENV)/.installed-dev ## Run docker-compose.yaml for real, faults and an upgrade included; installs Docker on Debian.
	@tests/e2e/engine.sh
	@trap tests/e2e/stop.sh EXIT; . .e2e/environment; $(BIN)/python -m pytest tests/e2e $(PYTEST)

benchmark: $(VENV)/.installed-dev ## Measure, as ratios within one run.
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/processor.py
	$(BIN)/python benchmarks/task_start.py
	$(BIN)/python benchmarks/autoscaling/simulate.py

page-benchmark: $(VENV)/.installed-dev ## Measure the page of 1,000 pipelines and a year of their runs in Chromium.
	PYTHONPATH=tests:tests/integration $(BIN)/python benchmarks/page.py

fuzz: $(VENV)/.installed-dev ## Look for texts that break the reader, for SECONDS (by default 600), guided by coverage.
	@$(BIN)/python -m pip install --quiet atheris
	@mkdir -p .fuzz
	@$(BIN)/python tests/fuzz/fuzz_language.py .fuzz tests/fuzz/corpus -max_total_time=$(SECONDS) -dict=tests/fuzz/language.dict
	@FUZZ=1 $(BIN)/python -m pytest -q tests/hostile/test_fuzz.py

clean: ## Remove the virtual environments, Airflow's state and the lake.
	rm -rf $(VENV) .venvs .airflow .fuzz lake
