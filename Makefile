# The two commands of the README: `make sweep` and `make test`; each sets up its own environment first.

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
WITHOUT := $(if $(filter 0,$(shell id -u)),,--ignore tests/hosts)

.PHONY: test sweep check docs clean

test: $(READY)
	@test -z "$(WITHOUT)" || echo "Left out: tests/hosts, which makes network namespaces and so needs root."
	$(VENV)/bin/python -m pytest $(WITHOUT)

sweep: $(READY)
	$(VENV)/bin/python -m benchmarks.mnist_sweep --workers 2 --tasks 32 --distribution vine --out sweep-results

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
