# The two commands of the README: `make sweep` and `make test`; each sets up its own environment first.

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
WITHOUT := $(if $(filter 0,$(shell id -u)),,--ignore tests/hosts)

.PHONY: test sweep check clean

test: $(READY)
	@test -z "$(WITHOUT)" || echo "Left out: tests/hosts, which makes network namespaces and so needs root."
	$(VENV)/bin/python -m pytest $(WITHOUT)

sweep: $(READY)
	$(VENV)/bin/python -m benchmarks.mnist_sweep --workers 2 --tasks 32 --distribution vine --out sweep-results

check: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip setuptools
	$(VENV)/bin/python -m pip install --quiet --editable '.[test,bench]'
	touch $@

clean:
	rm -rf $(VENV) sweep-results vine-run-info *.egg-info
