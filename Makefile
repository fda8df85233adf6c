# `make` sets up .venv and runs the embedded demo; `make test` sets up what is missing and runs the tests;
# `make proofs` those that take minutes each, `make cluster` those on a Slurm and a PostgreSQL that it starts, `make
# mutants` those that a wrong formula must fail, on wrong formulas; `make predict IMAGES=folder` segments a folder with
# the trained network.
# CONFIG=configs/voc-animals.yaml runs another configuration, CORES limits the cores. PYTHON=python3.13 names the Python
# of .venv, TORCH=cpu takes the smaller PyTorch that has no CUDA.

PYTHON ?=
TORCH ?=
$(if $(filter-out cpu,$(TORCH)),$(error TORCH=$(TORCH) is unknown: TORCH=cpu takes PyTorch without CUDA, no TORCH the one with it))
CORES ?= all
CONFIG ?=
IMAGES ?=
# The benchmark's images are the demo's, or the real ones of voc-animals where their affinities have been computed.
BENCH_CONFIG ?= $(or $(CONFIG),$(if $(wildcard results/voc-animals/benchmark results/voc-animals/summary),configs/voc-animals.yaml))

.PHONY: run predict test proofs cluster mutants coverage lint bench ui lock clean

run: .venv/installed
	.venv/bin/snakemake --cores $(CORES) $(if $(CONFIG),--configfile $(CONFIG))

# By the shell's variable, which may hold any quote, and as ./2024, which Snakemake takes for no number.
predict: export IMAGES := $(IMAGES)
predict: .venv/installed
	$(if $(IMAGES),,$(error make predict IMAGES=folder segments the images in that folder))
	@case "$$IMAGES" in /*|"~"*) ;; *) IMAGES="./$$IMAGES" ;; esac; \
	.venv/bin/snakemake --cores $(CORES) $(if $(CONFIG),--configfile $(CONFIG)) --config "predict=$$IMAGES" -- predict

test: .venv/installed-dev lint
	.venv/bin/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

proofs: .venv/installed-dev
	.venv/bin/python -m pytest -m proof

cluster: .venv/installed-dev
	.venv/bin/python -m pytest -m cluster tests/cluster

mutants: .venv/installed-dev
	.venv/bin/python tests/mutants/run_mutants.py $(ONLY)

coverage: .venv/installed-dev
	.venv/bin/coverage erase
	.venv/bin/coverage run -m pytest
	.venv/bin/python tests/report_coverage.py

bench: .venv/installed
	.venv/bin/snakemake bench --cores $(CORES) --forcerun benchmark_core benchmark_kinds $(if $(BENCH_CONFIG),--configfile $(BENCH_CONFIG))

lint: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/snakefmt --check Snakefile rules
	.venv/bin/mypy
	.venv/bin/snakemake --lint

ui: export MLFLOW_BACKEND_STORE_URI = $(or $(MLFLOW_TRACKING_URI),sqlite:///results/mlflow.db)
ui: export MLFLOW_SERVER_ENABLE_JOB_EXECUTION = false
ui: export MLFLOW_DISABLE_TELEMETRY = true
ui: .venv/installed
	@echo "Open http://127.0.0.1:5000 and choose a data set; its page links to the table of experiments."
	@.venv/bin/python -m wsgcn.tracking.location "$$MLFLOW_BACKEND_STORE_URI"
	@.venv/bin/mlflow ui

# The Python that was asked for last: another one makes .venv anew.
VERSION = 'import sys; print("%d.%d" % sys.version_info[:2])'
.venv/python-%:
	@mkdir -p .venv && rm -f .venv/python-* && touch $@

# The stamps come last, so that an interrupted installation is continued.
.venv/installed: envs/lock.txt envs/install.sh pyproject.toml $(TORCH:%=.venv/torch-%) \
		$(if $(PYTHON),.venv/python-$(or $(shell $(PYTHON) -c $(VERSION) 2>/dev/null),none))
	@PYTHON="$(PYTHON)" envs/install.sh
	@touch $@

.venv/installed-dev: .venv/installed envs/lock-dev.txt
	@PYTHON="$(PYTHON)" envs/install.sh dev
	@touch $@

# Switching to this PyTorch makes .venv anew, without CUDA. Later installations keep to it.
.venv/torch-cpu:
	rm -rf .venv
	@mkdir .venv && touch $@

# For after a change of envs/requirements.txt or pyproject.toml. All other pins stay, but with UPGRADE=1.
LOCK = .venv/bin/uv pip compile --quiet $(if $(UPGRADE),--upgrade) --universal --python-version 3.11 --generate-hashes \
	--no-annotate --custom-compile-command "make lock"
lock: .venv/installed-dev
	$(LOCK) envs/requirements.txt --output-file envs/lock.txt
	$(LOCK) pyproject.toml --extra dev --constraints envs/lock.txt \
		$$(sed -n 's/^\([a-z0-9-]*\)==.*/--no-emit-package \1/p' envs/lock.txt) --output-file envs/lock-dev.txt

clean:
	rm -rf results/demo workflow_scripts/wsgcn/__pycache__/numba-*
