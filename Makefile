# `make` sets up .venv and runs the embedded demo; `make test` sets up what is missing and runs the tests.
# CONFIG=configs/voc-animals.yaml runs another configuration, CORES limits the cores.

PYTHON ?= python3
CORES ?= all
CONFIG ?=
# The benchmark's images are the demo's, or the real ones of voc-animals where their affinities have been computed.
BENCH_CONFIG ?= $(or $(CONFIG),$(if $(wildcard results/voc-animals/benchmark results/voc-animals/summary),configs/voc-animals.yaml))

.PHONY: run test coverage lint bench ui clean

run: .venv/installed
	.venv/bin/snakemake --cores $(CORES) $(if $(CONFIG),--configfile $(CONFIG))

test: .venv/installed-dev lint
	.venv/bin/python -m pytest

coverage: .venv/installed-dev
	.venv/bin/coverage erase
	.venv/bin/coverage run -m pytest
	.venv/bin/python tests/report_coverage.py

bench: .venv/installed
	.venv/bin/snakemake bench --cores $(CORES) --forcerun benchmark_core $(if $(BENCH_CONFIG),--configfile $(BENCH_CONFIG))

lint: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/snakefmt --check Snakefile rules
	.venv/bin/mypy
	.venv/bin/snakemake --lint

ui: .venv/installed
	@echo "Open http://127.0.0.1:5000 and choose a data set; its page links to the table of experiments."
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false .venv/bin/mlflow ui --backend-store-uri $(or $(MLFLOW_TRACKING_URI),sqlite:///results/mlflow.db)

.venv/installed: envs/requirements.txt pyproject.toml
	@echo "Installing into .venv, 7 GB with PyTorch: a few minutes."
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --editable .
	touch $@

.venv/installed-dev: .venv/installed
	.venv/bin/pip install --quiet --editable .[dev]
	touch $@

clean:
	rm -rf results/demo
