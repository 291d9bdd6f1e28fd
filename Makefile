# The commands of the README and of contributors. `make help` lists them.
# Everything is installed into this directory: uv into .uv, the workspace into .venv, caches into .cache.

PACKAGES   := source-kit simulators source-pendo source-customerio source-heap test-kit webhook-inlet
CONNECTORS := $(patsubst %/metadata.yaml,%,$(wildcard $(addsuffix /metadata.yaml,$(PACKAGES))))
SHIPPED    := $(CONNECTORS) webhook-inlet
WHEELS     := source-kit $(SHIPPED) product-analytics-spark
# Without those of the simulators, so that they take less than a minute
UNIT_TESTS := $(filter-out simulators/%,$(wildcard $(addsuffix /unit_tests,$(PACKAGES))))
UNIT_JOBS  ?= 2
PYTHON_BIN := .venv/bin/python
NATIVE     := $(wildcard source-*/native/*.[ch])
INSTALLED  := .venv/.installed
CLIENTS    := $(patsubst integration_tests/clients/%/pyproject.toml,%,$(wildcard integration_tests/clients/*/pyproject.toml))
KUBERNETES := .cache/kubernetes-venv
PLOTS      := .cache/plots-venv
SPARK      := .cache/spark-venv
OLDEST     := .cache/spark-oldest-venv
CADDY      := .cache/caddy

.DEFAULT_GOAL := help
.PHONY: help setup demo try inlet-config spark-demo test unit soak fuzz check fix bench spark-bench newest-cdk images base-image wheels \
	sbom audit docs lock clients-env $(addsuffix -env,$(CLIENTS)) kubernetes-env plots-env spark-env spark-oldest-env caddy clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## install uv and the Python environment; the other commands do this by themselves

$(INSTALLED): uv.lock pyproject.toml tools/uv.txt tools/bootstrap.sh $(addsuffix /pyproject.toml,$(PACKAGES)) $(wildcard source-*/setup.py) $(NATIVE)
	@tools/bootstrap.sh

demo: $(INSTALLED) ## run the connectors on the bundled simulators, into a DuckDB file and a page; ARGS=--fresh begins anew
	@PYTHONPATH=tools $(PYTHON_BIN) -m demo $(ARGS)

try: $(INSTALLED) ## try a connector by hand: C=pendo, customerio or heap; starts its simulated vendor and prints the lines to paste
	@$(PYTHON_BIN) tools/try_connector.py $(C) $(ARGS)

inlet-config: ## write .env for compose.yaml: paths, keys and the read token of webhook-inlet, all fresh; HOST=its public name
	@tools/inlet-config.sh $(HOST)

# Java first: without one nobody needs the 500 MB of Spark
spark-demo: ## let Spark read a simulated bucket of Heap into Parquet, by batch and as a stream; needs Java 17
	@"$$(tools/bootstrap.sh python)" tools/java.py
	@$(MAKE) --no-print-directory spark-env
	@$(SPARK)/bin/python tools/spark_demo.py $(ARGS)

test: $(INSTALLED) ## run all tests; lists the tests that are skipped because a tool is missing, and the coverage
	@$(PYTHON_BIN) tools/run_tests.py $(ARGS)

unit: $(INSTALLED) ## run the fast unit tests only, in under a minute; those of the simulators are in make test
	@$(PYTHON_BIN) -m pytest -q -n $(UNIT_JOBS) --dist loadfile -m "not slow and not soak" $(UNIT_TESTS) $(ARGS)

soak: $(INSTALLED) ## run the long tests, which `make test` does not run: load, kills, fuzzing of native modules, large buckets, Spark
	@$(PYTHON_BIN) tools/run_tests.py --soak $(ARGS)

fuzz: $(INSTALLED) ## run the fuzzers of the native modules, each for SECONDS (60); needs clang and libclang-rt-dev
	@FUZZ_SECONDS=$(or $(SECONDS),60) $(PYTHON_BIN) -m pytest -m "clang and not soak" --timeout 0 integration_tests/fuzz $(ARGS)

check: $(INSTALLED) ## check formatting, lint, types, imports, licenses and the workflows of the hosted CI
	@failed=0; \
	.venv/bin/ruff format --check --quiet . || { echo "not formatted; run make fix:"; .venv/bin/ruff format --check .; failed=1; }; \
	.venv/bin/ruff check . || failed=1; \
	.venv/bin/mypy || failed=1; \
	imports="$$(PYTHONPATH=spark .venv/bin/lint-imports --no-logo --no-cache)" || { echo "$$imports"; failed=1; }; \
	$(PYTHON_BIN) tools/licenses.py || failed=1; \
	.venv/bin/actionlint -shellcheck= -pyflakes= .github/workflows/*.yml || failed=1; \
	exit $$failed

fix: $(INSTALLED) ## format the code, and fix what the linter can fix
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

bench: $(INSTALLED) $(PLOTS)/.installed ## measure speed and memory beside the floor and other programs; writes benchmarks/RESULTS.md
	@$(PYTHON_BIN) benchmarks/run.py --plots $(PLOTS)/bin/python $(ARGS)

spark-bench: ## measure what Spark's way costs beside the connector; prints a table; needs Java 17
	@"$$(tools/bootstrap.sh python)" tools/java.py
	@$(MAKE) --no-print-directory spark-env
	@PYTHONPATH=tools $(SPARK)/bin/python benchmarks/spark.py $(ARGS)

plots-env: $(PLOTS)/.installed ## install matplotlib, which draws the plots of the benchmarks, into its own environment

newest-cdk: $(INSTALLED) ## run the kit's unit tests with the newest airbyte-cdk that the packages allow; needs the network
	@tools/newest-cdk.sh $(ARGS)

images: ## build the images source-*, webhook-inlet and simulators (:dev and :latest); needs a Docker engine
	@tools/build-images.sh $(SHIPPED) simulators

base-image: ## build a base image from Debian's packages, without an image registry; needs root and debootstrap
	@tools/base-image.sh

# From source distributions, which show that those are whole; a build in the tree would take what an older one left there.
wheels: ## build wheels of the kit, the connectors, webhook-inlet and Spark's package into dist/; needs the network
	@tools/bootstrap.sh uv
	@for package in $(WHEELS); do \
		UV_PYTHON_DOWNLOADS=never .uv/bin/uv build --quiet --out-dir dist --package $$package || exit 1; \
	done
	@ls dist/*.whl

sbom: $(INSTALLED) ## write a bill of materials (CycloneDX) of each image to dist/, from the image if that is built
	@tools/sbom.sh $(SHIPPED)

audit: ## look up known vulnerabilities of the packages in the images; needs the network
	@tools/audit.sh $(ARGS)

docs: $(INSTALLED) ## regenerate the tables of the documentation
	@$(PYTHON_BIN) tools/docs.py

lock: ## update the lock files
	@tools/bootstrap.sh uv
	@.uv/bin/uv lock
	@python="$$(PYTHON_MAX=3.12 tools/bootstrap.sh python)"; for client in $(CLIENTS); do \
		.uv/bin/uv lock --project integration_tests/clients/$$client --python "$$python" || exit 1; \
	done

# Not all of them install on Python 3.13.
clients-env: $(addsuffix -env,$(CLIENTS)) ## install other people's programs that the tests drive the connectors with, each into an environment of its own

$(addsuffix -env,$(CLIENTS)): %-env: integration_tests/clients/%/.venv/.installed

integration_tests/clients/%/.venv/.installed: integration_tests/clients/%/uv.lock integration_tests/clients/%/pyproject.toml tools/bootstrap.sh
	@tools/bootstrap.sh uv
	@python=$$(PYTHON_MAX=3.12 tools/bootstrap.sh python) && echo "$*-env: installing into $(@D)" && \
		UV_PYTHON_DOWNLOADS=never .uv/bin/uv sync --frozen --quiet --project integration_tests/clients/$* --python "$$python"
	@touch $@

kubernetes-env: $(KUBERNETES)/.installed ## install the schemas of Kubernetes into their own environment

spark-env: $(SPARK)/.installed ## install Spark and its tests into their own environment; needs Java 17 to run

spark-oldest-env: $(OLDEST)/.installed ## the same with the oldest Spark that works

# a group of pyproject.toml in an environment of its own
$(PLOTS)/.installed $(KUBERNETES)/.installed $(SPARK)/.installed $(OLDEST)/.installed: .cache/%-venv/.installed: uv.lock tools/bootstrap.sh
	@tools/bootstrap.sh uv
	@echo "$*-env: installing into $(@D)"
	@UV_PROJECT_ENVIRONMENT=$(@D) UV_PYTHON_DOWNLOADS=never .uv/bin/uv sync --frozen --quiet --only-group $* \
		--python "$$(tools/bootstrap.sh python)"
	@touch $@

caddy: $(CADDY)/.installed ## install the Caddy that the tests of deploy/Caddyfile run

$(CADDY)/.installed: tools/caddy.txt tools/bootstrap.sh
	@tools/bootstrap.sh uv
	@echo "caddy: installing into $(CADDY)"
	@.uv/bin/uv venv --quiet --clear --python "$$(tools/bootstrap.sh python)" $(CADDY)
	@.uv/bin/uv pip install --quiet --python $(CADDY) --require-hashes --only-binary :all: --requirement tools/caddy.txt
	@touch $@

clean: ## remove everything that these commands created
	rm -rf .venv .uv .cache .demo demo.duckdb demo.duckdb.* demo.html .try dist integration_tests/clients/*/.venv .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
