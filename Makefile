# make chat   set up, take in the sample articles, and ask      make test   set up and run the tests
PYTHON ?= python3
# Which build of torch to fetch: cpu, auto, cu128, … (`make chat TORCH=auto` for a GPU).
TORCH ?= cpu
# The sample articles get a data folder of their own, apart from yours.
CITEWIRE_DATA_DIR ?= $(CURDIR)/.citewire
export CITEWIRE_DATA_DIR
# pip's folder of wheels serves uv too; a torch that lies there is taken as it is.
UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_FIND_LINKS
# uv compiles nothing: what make runs may keep what it has compiled, so that no command compiles its imports anew.
unexport PYTHONDONTWRITEBYTECODE
override Q := $(value Q)
export Q

BIN := .venv/bin
ifeq ($(wildcard $(UV_FIND_LINKS)/torch-*),)
BACKEND := --torch-backend=$(TORCH)
endif
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --constraints constraints.txt
# What is delivered, without the tools it is made with: with every extra, of which the container has all but Ray.
RUNTIME := .venv-runtime
DIST := dist
PEERS := tests/bench/peers/requirements.txt

# What the sample's test sets must keep; raised whenever the answers get better.
GATES := --fail-under hit@1=1 --fail-under answer=0.72 --fail-under quote_valid=1 --fail-under supported=1 \
         --fail-over over_refusal=0.18 --fail-over false_answers=0.4
# The same for questions in a person's own words.
NATURAL_GATES := --fail-under hit@5=0.98 --fail-under answer=0.51 --fail-under auroc=0.7 --fail-under quote_valid=1 \
         --fail-under supported=1 --fail-over over_refusal=0.58 --fail-over false_answers=0.2

.PHONY: chat ask test check eval bench peers sbom clean

chat: .venv/.ready
	@$(BIN)/citewire ingest corpus 1>&2
	@$(BIN)/citewire chat

ask: .venv/.ready
	@$(BIN)/citewire ingest corpus 1>&2
	@$(BIN)/citewire ask -- "$$Q"

test: .venv/.dev
	$(BIN)/python -m pytest -n 3 --dist worksteal

check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

eval: .venv/.ready
	@$(BIN)/citewire ingest corpus 1>&2
	@$(BIN)/citewire eval run corpus/testset.jsonl $(GATES)
	@$(BIN)/citewire eval run corpus/natural.jsonl $(NATURAL_GATES)

bench: .venv/.dev
	$(BIN)/python -m pytest tests/bench -o python_files='bench_*.py' -o python_functions='bench_*' --timeout=3600 -q -s

# Beside other programs, on the sample or on files of yours: make peers ARGS='--articles F --testset F'
peers: .venv-peers/.ready
	@.venv-peers/bin/python tests/bench/compare_peers.py $(ARGS)

# A bill of materials (CycloneDX) and each licence; those that ask for a look, copyleft and unknown ones, are printed.
sbom: .venv/.dev $(RUNTIME)/.ready
	@mkdir -p $(DIST)
	@$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file $(DIST)/sbom.cdx.json \
	  $(RUNTIME)/bin/python
	@$(BIN)/pip-licenses --python $(RUNTIME)/bin/python --format csv --output-file $(DIST)/licenses.csv >/dev/null
	@echo "$(DIST)/sbom.cdx.json, $(DIST)/licenses.csv; copyleft or unknown:"
	@grep -E '^"[^"]+","[^"]+",".*(GPL|MPL|EPL|EUPL|CDDL|Mozilla|UNKNOWN)' $(DIST)/licenses.csv || echo none

clean:
	rm -rf .venv .venv-peers .venv-runtime .citewire .pytest_cache .mypy_cache .ruff_cache .hypothesis dist

.venv/.ready: pyproject.toml constraints.txt | .venv/bin/uv
	@echo "Installing Citewire into .venv …" >&2
	@$(INSTALL) $(BACKEND) --editable . || \
	  { echo "That build of torch could not be fetched; trying the package index alone …" >&2; \
	    $(INSTALL) --editable .; }
	@touch $@

.venv/.dev: .venv/.ready
	@$(INSTALL) --editable '.[postgres]' --group dev
	@touch $@

$(RUNTIME)/.ready: pyproject.toml constraints.txt | .venv/bin/uv
	@echo "Installing what Citewire needs, and no tools, into $(RUNTIME) …" >&2
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(RUNTIME)
	@$(BIN)/uv pip install --quiet --python $(RUNTIME)/bin/python $(BACKEND) --constraints constraints.txt --all-extras \
	  --requirement pyproject.toml
	@touch $@

# Copied and compiled: nltk reads no hard links, and no peer's first start should pay for compiling.
.venv-peers/.ready: pyproject.toml constraints.txt $(PEERS) | .venv/bin/uv
	@echo "Installing the peers into .venv-peers …" >&2
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-peers
	@grep -v '^huggingface-hub=' constraints.txt > .venv-peers/constraints.txt
	@$(BIN)/uv pip install --quiet --python .venv-peers/bin/python --link-mode copy --compile-bytecode \
	  $(BACKEND) --constraints .venv-peers/constraints.txt --requirements $(PEERS) --editable .
	@touch $@

.venv/bin/uv:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 11) <= v[:2] <= (3, 13) and f"Citewire needs Python 3.11 to 3.13, not {v.major}.{v.minor}: make PYTHON=python3.12 …")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
