# Developer verbs. `make ci` is all that CI does.
SHELL := /bin/bash
CARGO ?= cargo

.PHONY: help check test clients failures ci bless fmt demo bench

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/'

check: ## format and lints
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings

test: ## all Rust tests
	@command -v cargo-nextest > /dev/null || $(CARGO) install --locked cargo-nextest
	$(CARGO) nextest run --workspace
	@test -d "$${SEISLAKE_TEST_DATA:-../shared/data}" || echo "no recordings: the tests on them were skipped (set SEISLAKE_TEST_DATA)" >&2

clients: ## third-party clients, and the examples of README.md, against the real binary (installs them into ~/.cache/seislake)
	$(CARGO) nextest run --workspace --no-run # the same build as the tests, no second one
	tests/clients/run
	tests/readme/run

failures: ## wrong answers of once, attacks and kills, against the real binary (installs its Python environment)
	$(CARGO) nextest run --workspace --no-run
	tests/failures/run
	tests/attacks/run
	tests/crash/run

ci: check test clients failures ## everything

fmt: ## format all code
	$(CARGO) fmt --all

bless: ## rewrite generated documents and golden files
	BLESS=1 $(CARGO) nextest run --workspace

demo: ## the whole system on a synthetic network
	$(CARGO) run --release -- demo

bench: ## numbers beside their peers
	$(CARGO) build --release --bin seislake --bin seislake-bench
	$(CARGO) run --release -p seislake-bench -- main
