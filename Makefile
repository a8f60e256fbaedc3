# `make demo` starts the whole city, `make test` runs every test. Both set up what they need and say so; nothing else is needed
# first. Everything lands in .venv and in the demo's folder; `make clean` takes it away again.

VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.onestop-setup
UV     := uv==0.13.9
PYTHON ?=
ARGS   ?=

SHELL       := /bin/sh
.SHELLFLAGS := -eu -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench crash effects fanout isolation audit replays clean

help:
	@sed -n 's/^\([a-z][a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | awk -F '\t' '{ printf "make %-9s %s\n", $$1, $$2 }'

setup: $(STAMP) ## Python packages into .venv; done by every other target, at once where nothing changed
	@echo "setup: everything is in place"

# The lock holds hashes and no index address. `sync` takes away what the lock does not name, so the project itself comes after it.
$(STAMP): requirements.lock pyproject.toml Makefile
	@find_python() {
	  for name in $(PYTHON) python3.11 python3.12 python3.13 python3; do
	    if command -v "$$name" >/dev/null 2>&1 &&
	      "$$name" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$$name"; return; fi
	  done
	  return 1
	}
	if [ ! -x $(BIN)/pip ]; then
	  if ! python=$$(find_python); then
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	      echo "setup: no Python 3.11 with venv here; installing Debian's python3.11-venv"
	      apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3.11-venv >/dev/null
	      python=$$(find_python)
	    else
	      echo "setup: no Python 3.11 or newer with venv found." >&2
	      echo "  On Debian: sudo apt-get install python3.11-venv    Elsewhere: make PYTHON=/path/to/python3.11 setup" >&2
	      exit 1
	    fi
	  fi
	  echo "setup: $(VENV) with $$($$python --version)"
	  rm -rf $(VENV)
	  "$$python" -m venv $(VENV)
	fi
	echo "setup: the packages of requirements.lock, by hash (the first time this takes about a minute)"
	$(BIN)/pip install --quiet --disable-pip-version-check $(UV)
	unset VIRTUAL_ENV CONDA_PREFIX
	# uv does not read pip's settings: a mirror told to pip, and a certificate authority known to the system, hold for uv as well.
	index=$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$($(BIN)/pip config get global.index-url 2>/dev/null || true)}}
	if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$$index"; fi
	if [ -s /etc/ssl/certs/ca-certificates.crt ]; then export UV_SYSTEM_CERTS=1; fi
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $(STAMP)

demo: $(STAMP) ## the demo city on this machine; ARGS="--port 9000 --reset --tour"
	@exec $(BIN)/onestop demo $(ARGS)

test: $(STAMP) lint ## every test; the browser journey brings Debian's chromium when run as root
	@if [ -x tests/identity/peer/install ]; then
	  echo "test: the OpenID provider that sign-in is tested against"
	  tests/identity/peer/install || echo "test: it could not be installed; the tests that need it are skipped"
	fi
	if [ -x tests/provider/peer/install ]; then
	  echo "test: the relying parties that the provider is tested by"
	  tests/provider/peer/install >/dev/null || echo "test: they could not be installed; the tests that need them are skipped"
	fi
	if ! command -v java >/dev/null 2>&1; then
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	    echo "test: installing Debian's openjdk-17-jre-headless, which runs one of the servers that adapters are tested against"
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless; } >/dev/null 2>&1 ||
	      echo "test: it could not be installed; the tests of adapters against servers of others are skipped"
	  else
	    echo "test: no java, so the tests of adapters against servers of others are skipped (sudo apt-get install openjdk-17-jre-headless)"
	  fi
	fi
	if [ -x tests/adapters/peers/install ]; then
	  echo "test: the servers that adapters are tested against"
	  tests/adapters/peers/install || echo "test: they could not be installed; the tests that need them are skipped"
	fi
	if [ ! -s tests/.cache/axe.min.js ] && command -v npm >/dev/null 2>&1; then
	  echo "test: axe-core, which looks at the pages' accessibility"
	  $(BIN)/python tests/journeys/axe.py || echo "test: it could not be fetched; its two tests are skipped"
	fi
	if ! command -v pdfsig >/dev/null 2>&1 && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	  echo "test: installing Debian's poppler-utils, which reads and verifies the documents that onestop seals"
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends poppler-utils; } >/dev/null 2>&1 ||
	    echo "test: it could not be installed; two tests of documents are skipped"
	fi
	if ! command -v chromium >/dev/null 2>&1; then
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	    echo "test: installing Debian's chromium and fonts-noto-cjk for the browser journey"
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk; } >/dev/null 2>&1 ||
	      echo "test: they could not be installed; the browser journey is skipped"
	  else
	    echo "test: no chromium, so the browser journey is skipped (sudo apt-get install chromium fonts-noto-cjk)"
	  fi
	fi
	echo "test: every test, in four processes"
	exec $(BIN)/pytest -n 4 $(ARGS)

lint: $(STAMP) ## ruff, mypy --strict, the direction of imports
	@echo "lint: ruff, mypy --strict, the direction of imports"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/lint-imports --no-cache

bench: $(STAMP) ## the benchmarks against their peers (slow); bench/README.md explains them
	@echo "bench: onestop and its peers, interleaved (this takes a while)"
	exec bench/run $(ARGS)

crash: $(STAMP) ## 200 submissions while processes are killed 20 times: every effect exactly once
	@echo "crash: 200 submissions, 20 kills (about a minute)"
	CRASH=full exec $(BIN)/pytest tests/crash/test_checker.py tests/crash/test_kills.py -s $(ARGS)

effects: $(STAMP) ## 10,000 submissions, a tenth of the answers lost, 50 kills: every effect exactly once
	@echo "effects: 10,000 submissions, 50 kills (about six minutes)"
	EFFECTS=full exec $(BIN)/pytest tests/crash/test_effects_scale.py -m "load or not load" -s $(ARGS)

fanout: $(STAMP) ## 10,000 composite answers while three of twelve departments hang: every part, in time
	@echo "fanout: 10,000 questions to twelve departments (about three minutes)"
	FANOUT=full exec $(BIN)/pytest tests/network/test_fanout.py -s $(ARGS)

isolation: $(STAMP) ## one of eight departments hangs at full load: what the others feel; what a limit finds
	@echo "isolation: turns with and without a hang, a breaker, a limit, retries (about five minutes)"
	ISOLATION=full exec $(BIN)/pytest tests/network/test_isolation.py -m "load or not load" -s $(ARGS)

audit: $(STAMP) ## 1,000 random tamperings with the sealed ledger by a database owner: every one is found; entries verified per second
	@echo "audit: 1,000 tamperings (about ten seconds)"
	TAMPER=full exec $(BIN)/pytest tests/audit/test_tampering.py tests/audit/test_verify_speed.py -s $(ARGS)

replays: $(STAMP) ## 1,000 replays of codes, proofs and assertions on two instances: none is taken
	@echo "replays: 1,000 of them (about twenty seconds)"
	REPLAYS=full exec $(BIN)/pytest tests/provider/test_replays.py -s $(ARGS)

clean: ## take away .venv, caches and what demo and tests left behind
	@echo "clean: .venv, caches, onestop-demo"
	if [ -x $(BIN)/onestop ] && [ -d onestop-demo ]; then $(BIN)/onestop db stop --state onestop-demo >/dev/null 2>&1 || true; fi
	rm -rf $(VENV) onestop-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist tests/journeys/screenshots
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
