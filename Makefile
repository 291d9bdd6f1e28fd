# The two commands of the README, and those of a contributor. `make help` lists them.
# Everything installs into this directory: uv into .uv, the workspace into .venv, caches into .cache.

PACKAGES   := source-kit simulators source-pendo source-customerio source-heap test-kit
CONNECTORS := $(patsubst %/metadata.yaml,%,$(wildcard $(addsuffix /metadata.yaml,$(PACKAGES))))
UNIT_TESTS := $(wildcard $(addsuffix /unit_tests,$(PACKAGES)))
UNIT_JOBS  ?= 2
PYTHON_BIN := .venv/bin/python
INSTALLED  := .venv/.installed
PYAIRBYTE  := integration_tests/pyairbyte/.venv

.DEFAULT_GOAL := help
.PHONY: help setup demo test unit check fix bench images base-image sbom audit docs lock pyairbyte-env clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## uv and the environment; every other command does this by itself

$(INSTALLED): uv.lock pyproject.toml tools/uv.txt tools/bootstrap.sh $(addsuffix /pyproject.toml,$(PACKAGES))
	@tools/bootstrap.sh

demo: $(INSTALLED) ## read everything from the bundled simulators into a DuckDB file
	@$(PYTHON_BIN) tools/demo.py

test: $(INSTALLED) ## the whole suite; names the tests skipped because a tool is missing
	@$(PYTHON_BIN) tools/run_tests.py $(ARGS)

unit: $(INSTALLED) ## the fast tests only, under a minute
	@$(PYTHON_BIN) -m pytest -q -n $(UNIT_JOBS) --dist loadfile -m "not slow" $(UNIT_TESTS) $(ARGS)

check: $(INSTALLED) ## formatting, lint, types and licenses
	@failed=0; \
	.venv/bin/ruff format --check --quiet . || { echo "not formatted, make fix mends it:"; .venv/bin/ruff format --check .; failed=1; }; \
	.venv/bin/ruff check . || failed=1; \
	.venv/bin/mypy || failed=1; \
	$(PYTHON_BIN) tools/licenses.py || failed=1; \
	exit $$failed

fix: $(INSTALLED) ## format, and mend what the linter can mend
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

bench: $(INSTALLED) ## records per CPU second, beside the peers and the floor
	@$(PYTHON_BIN) benchmarks/run.py $(ARGS)

images: ## build source-*:dev and source-*:latest; needs a Docker engine
	@tools/build-images.sh $(CONNECTORS)

base-image: ## a base image from Debian's packages, where no registry can be reached; needs root and debootstrap
	@tools/base-image.sh

sbom: $(INSTALLED) ## a bill of materials (CycloneDX) for each connector, into dist/; that of its image where it is here
	@tools/sbom.sh $(CONNECTORS)

audit: ## ask about known vulnerabilities of what the connectors ship with; needs the network
	@tools/audit.sh $(ARGS)

docs: $(INSTALLED) ## write the generated tables of the documentation anew
	@$(PYTHON_BIN) tools/docs.py

lock: ## resolve the dependencies anew
	@tools/bootstrap.sh uv
	@.uv/bin/uv lock
	@.uv/bin/uv lock --project integration_tests/pyairbyte --python "$$(PYTHON_MAX=3.12 tools/bootstrap.sh python)"

pyairbyte-env: $(PYAIRBYTE)/.installed ## PyAirbyte in an environment of its own; needs Python 3.11 or 3.12

$(PYAIRBYTE)/.installed: integration_tests/pyairbyte/uv.lock integration_tests/pyairbyte/pyproject.toml tools/bootstrap.sh
	@tools/bootstrap.sh uv
	@python=$$(PYTHON_MAX=3.12 tools/bootstrap.sh python) && echo "pyairbyte-env: installing into $(PYAIRBYTE)" && \
		UV_PYTHON_DOWNLOADS=never .uv/bin/uv sync --frozen --quiet --project integration_tests/pyairbyte --python "$$python"
	@touch $@

clean: ## remove everything that the commands above made
	rm -rf .venv .uv .cache .demo dist $(PYAIRBYTE) .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
