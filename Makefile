# The two commands of the README: `make sweep` and `make test`; each sets up its own environment first.

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
ROOT := $(filter 0,$(shell id -u))
SLURM := $(word 4,$(foreach part,slurmctld slurmd sbatch munged,$(shell command -v $(part))))
WITHOUT := --ignore tests/chaos $(if $(ROOT),,--ignore tests/hosts) $(if $(and $(ROOT),$(SLURM)),,--ignore tests/slurm)

.PHONY: test sweep nightly chaos check docs clean

test: $(READY)
	@test -n "$(ROOT)" || echo "Left out: tests/hosts and tests/slurm: network namespaces and Slurm's daemons need root."
	@test -n "$(SLURM)" || echo "Left out: tests/slurm, which needs Slurm: apt-get install slurm-wlm munge."
	$(VENV)/bin/python -m pytest -m "not live" --numprocesses 2 --dist loadfile $(WITHOUT)
	$(VENV)/bin/python -m pytest -m live $(WITHOUT)

sweep: $(READY)
	$(VENV)/bin/python -m benchmarks.mnist_sweep --workers 2 --tasks 32 --distribution vine --out sweep-results

# About 0.2 s of one core a seed: a good hour on a core of its own, six where that is shared. `make test` runs the first
# 200 of the small ones. A failing seed does not end it: all are named once more at its end, and its status says so.
nightly: $(READY)
	$(VENV)/bin/python -u -m benchmarks.simulator.faults --seeds 20000 --sizes all --failures 1000

# Four to eight minutes, as root: everything breaks once under 10,000 calls, and a table says how soon it goes on.
chaos: $(READY)
	$(VENV)/bin/python -m pytest -s tests/chaos

check: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# The reference of the Python API, from docstrings: docs/reference/index.html.
PARTS := declaring ended environments higher_order libraries minitasks policies resources standing stats tasks tuning

docs: $(READY)
	$(VENV)/bin/python -m pip install --quiet --editable '.[docs]'
	$(VENV)/bin/pdoc vine vine.errors vine.parsl $(PARTS:%=vine.client.%) --no-include-undocumented --no-show-source -o docs/reference

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip setuptools
	$(VENV)/bin/python -m pip install --quiet --editable '.[test,bench]'
	touch $@

clean:
	rm -rf $(VENV) docs/reference sweep-results vine-run-info *.egg-info
