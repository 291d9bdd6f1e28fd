# The commands of the README and of contributors. `make help` lists them.
# Everything is installed into this directory: uv into .uv, the workspace into .venv, caches into .cache.

PACKAGES   := source-kit simulators source-pendo source-customerio source-heap test-kit webhook-inlet
CONNECTORS := $(patsubst %/metadata.yaml,%,$(wildcard $(addsuffix /metadata.yaml,$(PACKAGES))))
UNIT_TESTS := $(wildcard $(addsuffix /unit_tests,$(PACKAGES)))
UNIT_JOBS  ?= 2
PYTHON_BIN := .venv/bin/python
INSTALLED  := .venv/.installed
PYAIRBYTE  := integration_tests/pyairbyte/.venv

.DEFAULT_GOAL := help
.PHONY: help setup demo test unit check fix bench newest-cdk images base-image wheels sbom audit docs lock pyairbyte-env clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## install uv and the Python environment; the other commands do this by themselves

$(INSTALLED): uv.lock pyproject.toml tools/uv.txt tools/bootstrap.sh $(addsuffix /pyproject.toml,$(PACKAGES))
	@tools/bootstrap.sh

demo: $(INSTALLED) ## run the connectors on the bundled simulators, into a DuckDB file
	@$(PYTHON_BIN) tools/demo.py

test: $(INSTALLED) ## run all tests; lists the tests that are skipped because a tool is missing, and the coverage
	@$(PYTHON_BIN) tools/run_tests.py $(ARGS)

unit: $(INSTALLED) ## run the fast tests only, in under a minute
	@$(PYTHON_BIN) -m pytest -q -n $(UNIT_JOBS) --dist loadfile -m "not slow" $(UNIT_TESTS) $(ARGS)

check: $(INSTALLED) ## check formatting, lint, types, imports, licenses and the workflows of the hosted CI
	@failed=0; \
	.venv/bin/ruff format --check --quiet . || { echo "not formatted; run make fix:"; .venv/bin/ruff format --check .; failed=1; }; \
	.venv/bin/ruff check . || failed=1; \
	.venv/bin/mypy || failed=1; \
	imports="$$(.venv/bin/lint-imports --no-logo --no-cache)" || { echo "$$imports"; failed=1; }; \
	$(PYTHON_BIN) tools/licenses.py || failed=1; \
	.venv/bin/actionlint -shellcheck= -pyflakes= .github/workflows/*.yml || failed=1; \
	exit $$failed

fix: $(INSTALLED) ## format the code, and fix what the linter can fix
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

bench: $(INSTALLED) ## measure records per CPU second, compared with the floor and other programs
	@$(PYTHON_BIN) benchmarks/run.py $(ARGS)

newest-cdk: $(INSTALLED) ## run the kit's unit tests with the newest airbyte-cdk that the packages allow; needs the network
	@tools/newest-cdk.sh $(ARGS)

images: ## build the images source-*:dev and source-*:latest; needs a Docker engine
	@tools/build-images.sh $(CONNECTORS)

base-image: ## build a base image from Debian's packages, without an image registry; needs root and debootstrap
	@tools/base-image.sh

wheels: ## build a wheel of the kit and of each connector into dist/; needs the network
	@tools/bootstrap.sh uv
	@for package in source-kit $(CONNECTORS); do \
		UV_PYTHON_DOWNLOADS=never .uv/bin/uv build --quiet --wheel --out-dir dist --package $$package || exit 1; \
	done
	@ls dist/*.whl

sbom: $(INSTALLED) ## write a bill of materials (CycloneDX) of each connector to dist/, from its image if that is built
	@tools/sbom.sh $(CONNECTORS)

audit: ## look up known vulnerabilities of the packages in the images; needs the network
	@tools/audit.sh $(ARGS)

docs: $(INSTALLED) ## regenerate the tables of the documentation
	@$(PYTHON_BIN) tools/docs.py

lock: ## update the lock files
	@tools/bootstrap.sh uv
	@.uv/bin/uv lock
	@.uv/bin/uv lock --project integration_tests/pyairbyte --python "$$(PYTHON_MAX=3.12 tools/bootstrap.sh python)"

pyairbyte-env: $(PYAIRBYTE)/.installed ## install PyAirbyte into its own environment; needs Python 3.11 or 3.12

$(PYAIRBYTE)/.installed: integration_tests/pyairbyte/uv.lock integration_tests/pyairbyte/pyproject.toml tools/bootstrap.sh
	@tools/bootstrap.sh uv
	@python=$$(PYTHON_MAX=3.12 tools/bootstrap.sh python) && echo "pyairbyte-env: installing into $(PYAIRBYTE)" && \
		UV_PYTHON_DOWNLOADS=never .uv/bin/uv sync --frozen --quiet --project integration_tests/pyairbyte --python "$$python"
	@touch $@

clean: ## remove everything that these commands created
	rm -rf .venv .uv .cache .demo dist $(PYAIRBYTE) .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
