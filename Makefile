# Every target does its own set-up: `make demo` and `make test` work as the first command on a fresh Debian or Ubuntu.

SHELL := /bin/sh
export PATH := $(HOME)/.cargo/bin:$(PATH)
# The queries are checked against .sqlx, so that no build needs a database (see `make sqlx`).
export SQLX_OFFLINE := true

USERS ?= 20000
CRASH_KILLS ?= 50
MATCH_PEOPLE ?= 20000
FUZZ_EACH ?= 2000
IMAGE ?= jira-scim
TARGET ?= data-center
SOURCE ?= scim

.DEFAULT_GOAL := help
.PHONY: help setup demo test crash match sync-size fuzz-admin contract bench check fmt lint doc sqlx ci image compose-secrets

help: ## What there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing: a C linker, the PostgreSQL server's programs
	@.make/setup.sh

demo: ## An Okta-like session against a sandbox Jira, shown live (TARGET=data-center, cloud or align; SOURCE=scim or ldap)
	@.make/setup.sh $(filter ldap,$(SOURCE))
	@cargo run --quiet --locked -- demo --target $(TARGET) --source $(SOURCE)

test: ## The whole suite, against a throw-away PostgreSQL (or DATABASE_URL)
	@.make/setup.sh browser ldap samba
	@.make/test.sh

crash: setup ## Kill the daemon CRASH_KILLS times under load and compare (CRASH_SEED replays)
	@RUST_TEST_NOCAPTURE=1 CRASH_KILLS=$(CRASH_KILLS) .make/test.sh crash::

match: setup ## Import MATCH_PEOPLE people of a sandbox Jira, and match everybody as an Okta would: nobody is made twice
	@MATCH_PEOPLE=$(MATCH_PEOPLE) .make/test.sh match_all::

sync-size: ## Read a directory of PEOPLE people (20000) into the store, and measure it
	@.make/setup.sh ldap
	@RUST_TEST_NOCAPTURE=1 SYNC_PEOPLE=$(or $(PEOPLE),20000) .make/test.sh sync::size::

fuzz-admin: setup ## Send FUZZ_EACH requests made of the OpenAPI document to each operation of the admin API (ADMIN_FUZZ_SEED replays)
	@RUST_TEST_NOCAPTURE=1 ADMIN_FUZZ_EACH=$(FUZZ_EACH) .make/test.sh admin::fuzz

contract: setup ## Hold every call of every story to Atlassian's OpenAPI documents in the folder SPECS
	@.make/contract.sh "$(SPECS)"

bench: setup ## Measure with USERS people in the store
	@cargo run --quiet --locked --release -- bench --users $(USERS)

check: setup ## Does it compile?
	@cargo check --locked --all-targets

fmt: ## Format
	@cargo fmt

lint: setup ## Clippy, warnings denied
	@cargo clippy --locked --all-targets -- --deny warnings

doc: setup ## The documentation of the code, warnings denied
	@RUSTDOCFLAGS='--deny warnings' cargo doc --locked --no-deps --document-private-items

sqlx: setup ## Refresh the query metadata in .sqlx
	@.make/with-postgres.sh .make/sqlx.sh refresh

ci: ## What CI runs
	@.ci/run

image: ## The container image
	@docker build --tag $(IMAGE) .

compose-secrets: ## Make the secrets that compose.yaml reads, unless they are there
	@.make/compose-secrets.sh
