# The commands of this repository. Each one does its own set-up; `make` alone lists them.
# What needs more than a line is in scripts/, so that it can be read, checked and run without make.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build package demo test lint bench reproduce clean

CARGO ?= cargo
# For `make demo`: flags for `railtop demo`, as in `make demo ARGS="--duration 20"`.
ARGS ?=

export CARGO

help: ## list the commands
	@echo 'railtop: the commands of this repository'
	@sed -nE 's/^([a-z]+):[^#]*## (.*)$$/  make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '%-14s %s\n' "$$name" "$$text"; done
	@echo 'Missing packages are installed as root (Debian, Ubuntu); NO_INSTALL=1 goes on without them.'

build: ## build target/release/railtop, and the library that `railtop run` loads into programs
	$(CARGO) build --release --locked
	@# By this name libfabric takes it for a provider; cargo has no such names.
	@ln -sf librailtop_hook.so "$${CARGO_TARGET_DIR:-target}/release/librailtop_hook-fi.so"

package: ## make a Debian package of it, in target/debian
	@scripts/install-deps.sh package
	@scripts/package.sh

demo: ## show the whole story on this machine: emulated cluster, traffic, monitor
	@scripts/install-deps.sh run
	@$(MAKE) --no-print-directory build
	@railtop="$${CARGO_TARGET_DIR:-target}/release/railtop"; \
	if [ -t 1 ]; then exec "$$railtop" demo $(ARGS); else exec "$$railtop" demo --headless $(ARGS); fi

test: ## run every test, the transport with two versions of libfabric
	@scripts/install-deps.sh test
	@scripts/test.sh

lint: ## formatting, clippy, rustdoc, scripts and what dependencies may be, warnings as errors
	@scripts/install-deps.sh lint
	@scripts/lint.sh

bench: ## measure the transport against its goals, and the counter page
	@scripts/install-deps.sh run
	$(CARGO) bench --locked --bench transport
	$(CARGO) bench --locked --bench counter_page
	$(CARGO) bench --locked -p railtop-hook --bench overhead

reproduce: ## the article's experiments in the lab, our figures beside its own (a quarter of an hour); OUT=DIR keeps them there
	@scripts/install-deps.sh run
	@$(MAKE) --no-print-directory build
	@scripts/reproduce.sh "$${CARGO_TARGET_DIR:-target}/release/railtop" "$${OUT:-$${CARGO_TARGET_DIR:-target}/reproduction-$$(date +%Y%m%d-%H%M%S)}"

clean: ## remove what was built and fetched
	$(CARGO) clean
	rm -rf .cache
