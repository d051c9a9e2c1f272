# Each target sets up what it needs in .venv, once; Python 3.11 or later and make are enough.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
READY := .venv/ready
REDFLARE := $(BIN)/redflare

DEMO_KNOWN_BEFORE := 2026-01-05
DEMO_AS_OF := 2026-01-12
DEMO_CLOSE_BY := 2026-03-31
DEMO_WEEK := 2026-W03
DEMO_PORT := 8000
DEMO_DATABASE := sqlite:///demo/redflare.db
DEMO_SERVE := REDFLARE_REVIEW_SEGMENT=industry REDFLARE_REVIEW_TARGET=2500000 \
	$(REDFLARE) serve --database $(DEMO_DATABASE) --without-keys --no-worker

.DEFAULT_GOAL := help
.PHONY: help install demo demo-review test bench lock

help:
	@echo 'make install  set up .venv; the others do it by themselves'
	@echo 'make demo     simulate a company, train, show its riskiest deals, serve its review (in demo/)'
	@echo 'make test     lint, types, tests and documentation examples'
	@echo 'make bench    the speed figures of the README, measured here'
	@echo 'make lock     write requirements.lock anew from pyproject.toml (needs uv)'

$(READY): requirements.lock pyproject.toml
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Redflare needs Python 3.11 or later; $(or $(PYTHON),python3) is" \
			"$$($(or $(PYTHON),python3) --version 2>&1 || true)." \
			'Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12' >&2; \
		exit 1; }
	@$(PYTHON) -m venv .venv || { \
		echo 'python3 -m venv failed: on Debian and Ubuntu, install the package python3-venv.' >&2; \
		exit 1; }
	@echo 'Installing into .venv, once; this takes a minute or two.'
	@if command -v uv >/dev/null; then install='uv pip install --quiet --python $(BIN)/python'; \
		else install='$(BIN)/python -m pip install --quiet --disable-pip-version-check'; fi; \
		$$install -r requirements.lock && \
		$$install --no-deps --no-build-isolation --editable .
	@touch $@

install: $(READY)

demo: $(READY)
	$(REDFLARE) simulate --deals 1500 --seed 1 --out demo
	$(REDFLARE) train demo/events.parquet --known-before $(DEMO_KNOWN_BEFORE) --out demo/artifact
	$(REDFLARE) score demo/events.parquet --artifact demo/artifact \
		--as-of $(DEMO_AS_OF) --close-by $(DEMO_CLOSE_BY) --riskiest 10
	$(REDFLARE) review demo/events.parquet --artifact demo/artifact \
		--week $(DEMO_WEEK) --close-by $(DEMO_CLOSE_BY) --segment industry --out demo/review.html
	@rm -f demo/redflare.*
	$(REDFLARE) db upgrade --database $(DEMO_DATABASE)
	$(REDFLARE) db load-events demo/events.parquet --database $(DEMO_DATABASE)
	$(REDFLARE) model install demo/artifact --database $(DEMO_DATABASE)
	@$(MAKE) --no-print-directory demo-review

# On a terminal the review is served until Ctrl-C; elsewhere it is asked for once, and nothing waits.
demo-review: $(READY)
	@if [ -t 0 ] && [ -t 1 ]; then \
		echo 'The weekly review: http://127.0.0.1:$(DEMO_PORT)/review (Ctrl-C ends it)'; \
		$(DEMO_SERVE) --port $(DEMO_PORT); \
	else \
		$(DEMO_SERVE) --port 0 >demo/serve.log 2>&1 & served=$$!; \
		trap 'kill $$served' EXIT; \
		$(BIN)/python -m service.review.ask_once demo/serve.log && \
		echo 'To click through it: make demo-review, on a terminal'; \
	fi

# One thread a process, so that small matrices do not wait for each other's threads; two files of
# tests side by side, each in order.
test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

bench: $(READY)
	$(BIN)/python -m pytest tests/benchmarks -s

lock:
	uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --extra dev --extra registry \
		--no-annotate --custom-compile-command 'make lock' --output-file requirements.lock \
		pyproject.toml
