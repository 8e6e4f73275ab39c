# Every recipe line is one simple command that make runs without a shell, so that a signal to make reaches it.
PYTHON ?= python3
MODEL ?=
CASES ?= 20000
URL ?= http://127.0.0.1:8000
ENGINES ?=
KEY_FILE ?=
SECONDS ?= 600
VENV := .venv/bin
FUZZER ?= $(VENV)/python
TOGETHER := $(VENV)/python -m pytest -n auto --dist loadfile
COMPILE := $(VENV)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --custom-compile-command "make lock"

.PHONY: run observe page screenshots test test-all chaos soak fuzz fuzz-native lint format lock clean audit bench

# Serve on 127.0.0.1:8000 (PONDER_PORT moves it); MODEL is a Hugging Face id or a folder.
run:
	$(PYTHON) deploy/install.py gateway engine $(if $(MODEL),,model)
	$(VENV)/ponder serve $(if $(MODEL),--model '$(MODEL)')

# Prometheus beside a running server, and Grafana where it is installed: docs/observe.md. Ctrl-C ends it.
observe:
	$(PYTHON) deploy/install.py dev
	$(VENV)/python -m deploy.observe --url '$(URL)' $(addprefix --engine ,$(ENGINES)) $(if $(KEY_FILE),--key-file '$(KEY_FILE)')

# The page at `/`, from its sources: server/page/dist. `make screenshots` takes the pictures of docs/page.md.
page:
	$(PYTHON) deploy/install.py dev clients page
	$(VENV)/python deploy/page.py

screenshots:
	$(PYTHON) deploy/install.py dev
	$(VENV)/python -m tests.page.screenshots

# A process a core; then those that share one real engine, which takes all cores by itself.
test:
	$(PYTHON) deploy/install.py dev engine model clients page
	$(TOGETHER) -m "not slow and not real"
	$(VENV)/python -m pytest -m "real and not slow"

test-all:
	$(PYTHON) deploy/install.py dev engine model clients page
	$(TOGETHER) -m "not real"
	$(VENV)/python -m pytest -m real

# Every fault of an engine with every strategy, in some ten minutes.
chaos:
	$(PYTHON) deploy/install.py dev
	$(VENV)/python -m tests.chaos --out docs/results/chaos.json

# CASES=100000 for more than in `make test`.
fuzz: export PONDER_FUZZ_CASES := $(CASES)
fuzz:
	$(PYTHON) deploy/install.py dev
	$(TOGETHER) tests/fuzz tests/clients/test_openapi.py tests/server/test_parser.py

# Led by what the code does with its input; FUZZER is a Python that also has atheris. SECONDS for each of four readers.
fuzz-native:
	$(FUZZER) -m tests.fuzz.native stream -max_total_time=$(SECONDS)
	$(FUZZER) -m tests.fuzz.native request -max_total_time=$(SECONDS)
	$(FUZZER) -m tests.fuzz.native answer -max_total_time=$(SECONDS)
	$(FUZZER) -m tests.fuzz.native thinking -max_total_time=$(SECONDS)

# Twenty minutes of load in which many callers leave.
soak:
	$(PYTHON) deploy/install.py dev
	$(VENV)/python -m benchmarks.soak --out docs/results/soak.json

audit:
	$(PYTHON) deploy/install.py dev
	$(VENV)/python deploy/audit.py

lint:
	$(PYTHON) deploy/install.py dev
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/mypy

format:
	$(PYTHON) deploy/install.py dev
	$(VENV)/ruff check --fix
	$(VENV)/ruff format

# What Ponder and other gateways add to an engine, side by side: docs/results/bench.md. At most ten minutes.
bench:
	$(PYTHON) deploy/install.py dev
	$(VENV)/python -m benchmarks.overhead --peers

# Pins move only when LOCK=--upgrade is given. Those of npm: `npm install --package-lock-only` in tests/clients/js and server/page.
lock:
	$(PYTHON) deploy/install.py dev
	$(COMPILE) $(LOCK) pyproject.toml deploy/lock/build.in --output-file deploy/lock/gateway.txt
	$(COMPILE) $(LOCK) pyproject.toml deploy/lock/build.in --group dev --constraint deploy/lock/gateway.txt --output-file deploy/lock/dev.txt
	$(COMPILE) $(LOCK) pyproject.toml deploy/lock/build.in --group dev --group bench --constraint deploy/lock/dev.txt --output-file deploy/lock/bench.txt
	$(COMPILE) $(LOCK) deploy/lock/engine-cpu.in --excludes deploy/lock/not-needed-cpu.in --output-file deploy/lock/engine-cpu.txt
	$(COMPILE) $(LOCK) deploy/lock/engine-cuda.in --output-file deploy/lock/engine-cuda.txt
	$(COMPILE) $(LOCK) deploy/lock/clients.in --overrides deploy/lock/clients-overrides.in --output-file deploy/lock/clients.txt

# Leaves the cache in ~/.cache/ponder alone: other checkouts use it too.
clean:
	rm -rf .fuzz .venv .venv.log .venv.lock .venv.part .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov dist
