# Developer verbs. `make ci` is all that CI does.
SHELL := /bin/bash
CARGO ?= cargo

.PHONY: help check test clients failures ci bless fmt demo bench

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/'

check: ## format, lints and documentation
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --quiet

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
	$(CARGO) run --profile quick -- demo

bench: ## numbers beside their peers
	$(CARGO) build --release
	$(CARGO) run --profile quick -p seislake-bench -- main --binary "$${CARGO_TARGET_DIR:-target}/release/seislake"
