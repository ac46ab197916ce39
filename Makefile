# `make help` lists what there is. CI runs these same targets, through .ci/run.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS   := -s -w -X main.version=$(VERSION)
BIN       := bin/gupdispatch
CONFIG    ?= gupdispatch.yaml
COMPOSE   ?= docker compose

# Settings a caller may change: make test GOTESTFLAGS=-race, make fuzz FUZZTIME=5m.
GOTESTFLAGS    ?=
FUZZTIME       ?= 20s
CRASH_MESSAGES ?= 20000
CHAOS_MESSAGES ?= 10000
CAMPAIGN_ROWS  ?= 1000000
BENCHFLAGS     ?=

# These take minutes, or need a browser; they have targets of their own.
PACKAGES = $(shell go list ./... | grep -v '/test/')

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/gupdispatch
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/gupdispatch

.PHONY: install
install: ## install gupdispatch into Go's bin directory
	CGO_ENABLED=0 go install -trimpath -ldflags '$(LDFLAGS)' ./cmd/gupdispatch

.PHONY: test
test: ## run the tests; REDIS_ADDR=host:port runs them on that Redis, too
	@[ -n "$$REDIS_ADDR" ] || echo "NOTE: REDIS_ADDR=host:port is not set, so the tests on a real Redis are SKIPPED; the rest runs on an embedded one"
	@go test $(GOTESTFLAGS) $(PACKAGES)

.PHONY: test-race
test-race: ## run the tests with the race detector
	@$(MAKE) --no-print-directory test GOTESTFLAGS='-race $(GOTESTFLAGS)'

.PHONY: test-real
test-real: ## run the tests on a real Redis; needs REDIS_ADDR=host:port
	@test -n "$${REDIS_ADDR:-}" || { echo "make test-real: set REDIS_ADDR=host:port to a Redis 7 that tests may fill" >&2; exit 2; }
	@GUPDISPATCH_REQUIRE_REDIS=1 $(MAKE) --no-print-directory test GOTESTFLAGS='-count=1 $(GOTESTFLAGS)'

.PHONY: test-crash
test-crash: ## kill workers in a loop and count what was lost or doubled (CRASH_MESSAGES=20000)
	CRASH_MESSAGES=$(CRASH_MESSAGES) go test ./test/crash/... -count=1 -timeout 20m -v

.PHONY: test-redis
test-redis: ## Redis beyond one server: failovers with Sentinel and Cluster, TLS, ACL (CHAOS_MESSAGES=10000)
	cd test/chaos && CHAOS_MESSAGES=$(CHAOS_MESSAGES) go test . -run '^TestRedis' -count=1 -timeout 30m -v

.PHONY: test-chaos
test-chaos: ## break processes, networks, Redis and clocks, and account for every message (CHAOS_MESSAGES=10000)
	cd test/chaos && CHAOS_MESSAGES=$(CHAOS_MESSAGES) go test . -skip '^TestRedis' -count=1 -timeout 30m -v

.PHONY: test-deploy
test-deploy: ## check manifests, units and compose file against their schemas
	cd test/deploy && go test . -count=1

.PHONY: test-campaign
test-campaign: ## pause a campaign, kill its worker twice, and account for every row (CAMPAIGN_ROWS=1000000)
	CAMPAIGN_ROWS=$(CAMPAIGN_ROWS) go test ./test/campaign/... -count=1 -timeout 60m -v

.PHONY: test-browser
test-browser: ## look at the web pages in a real browser; needs chromium
	cd test/browser && REQUIRE_BROWSER=1 go test . -count=1 -timeout 5m -v

.PHONY: screenshots
screenshots: ## take the pictures in docs/images anew, by the browser test
	SHOTS=$(CURDIR)/docs/images $(MAKE) --no-print-directory test-browser

.PHONY: bench
bench: ## measure speed, pace and memory, side by side with a bare asynq server
	go run ./bench $(BENCHFLAGS)

.PHONY: bench-api
bench-api: ## measure the REST API with wrk and curl (SECONDS_EACH=10, ROWS=1000000)
	./bench/api/run

.PHONY: demo
demo: build ## see it all at once: embedded Redis, simulator, worker and web UI
	./$(BIN) demo

.PHONY: lint
lint: ## check formatting, vet and linters
	@unformatted=$$(gofumpt -l .); test -z "$$unformatted" || { echo "not formatted, run gofumpt -w on:"; echo "$$unformatted"; exit 1; }
	go vet ./...
	golangci-lint run ./...
	cd test/browser && go vet .
	cd test/chaos && go vet .
	cd test/deploy && go vet .

.PHONY: openapi
openapi: ## write docs/openapi.json anew; where npx is, lint it with Redocly and Spectral
	go test ./httpapi -run TestOpenAPIIsInTheDocs -update
	! command -v npx >/dev/null || npx --yes @redocly/cli@2.77.0 lint docs/openapi.json
	! command -v npx >/dev/null || npx --yes @stoplight/spectral-cli@6.15.0 lint --fail-severity warn docs/openapi.json

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (20s)
	@for package in $$(go list ./...); do \
	  listed=$$(go test "$$package" -list '^Fuzz'); \
	  for target in $$(grep '^Fuzz' <<<"$$listed" || true); do \
	    echo "== $$package $$target"; \
	    go test "$$package" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x; \
	  done; \
	done

.PHONY: cover
cover: ## measure test coverage; coverage.html shows it by line
	go test -coverprofile coverage.out -coverpkg ./... $(PACKAGES)
	go tool cover -html coverage.out -o coverage.html
	@go tool cover -func coverage.out | tail -1

# Secrets for the containers. GUPSHUP_API_KEY in it is random, too: good for the simulator only.
.env:
	deploy/new-env >$@

.PHONY: up
up: .env ## start Redis, workers and API in containers; COMPOSE_PROFILES=simulator adds the simulator
	VERSION=$(VERSION) $(COMPOSE) up --build --detach

.PHONY: down
down: ## stop the containers; Redis keeps its data
	COMPOSE_PROFILES=simulator,metrics $(COMPOSE) down

.PHONY: run-worker
run-worker: build ## run a worker with CONFIG (gupdispatch.yaml)
	./$(BIN) worker --config $(CONFIG)

.PHONY: simulate
simulate: build ## run the Gupshup simulator
	./$(BIN) simulate

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist coverage.out coverage.html
