# `make` on its own lists what there is.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO       ?= go
FUZZTIME ?= 60s
IMAGE    ?= session-api
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

LDFLAGS  := -s -w -X main.version=$(VERSION)
# Not default.pgo, which every build and test would use, and so compile all libraries
# once more.
PGO      := cmd/session-api/release.pgo
LINT     := $(GO) tool -modfile=tools/go.mod golangci-lint
SCRIPTS  := .ci/run .ci/scheduled $(wildcard tools/*.sh) examples/shell/session.sh
# Modules of their own, so that who uses one does not get what the service needs.
MODULES  := clients/go examples/go-service examples/jwt-service

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

## Working

.PHONY: run
run: ## Run the service on 127.0.0.1:8080, nothing configured
	@echo 'Building session-api. The first time this takes a minute or two.'
	$(GO) run -ldflags '$(LDFLAGS)' ./cmd/session-api

.PHONY: run-redis
run-redis: build ## Run a Redis and two instances on it, on ports 8081 and 8082
	tools/run-redis.sh

.PHONY: build
build: ## Build the static binary bin/session-api, optimised by a profile (make pgo)
	CGO_ENABLED=0 $(GO) build -pgo $(PGO) -trimpath -ldflags '$(LDFLAGS)' -o bin/session-api ./cmd/session-api

# The packages whose tests take longest begin first, so that no processor is left without
# work while the last of them ends.
SLOWEST := ./internal/store/redis ./internal/store/bolt ./cmd/session-api ./clients/node ./internal/api

# By default a process that the race detector watches sleeps for a second at its end.
.PHONY: test
test: ## Run all tests, with the race detector, in random order
	tools/need.sh caddy cc chromium curl jq nginx node npm redis-server wget \
	  javac perl php php-curl python3 python3-aiohttp python3-httpx python3-requests
	GORACE=atexit_sleep_ms=100 $(GO) test -race -shuffle=on -count=1 -vet=off -ldflags="-s -w" -p 4 -timeout 25m $(SLOWEST) ./... # make lint vets

.PHONY: fmt
fmt: ## Format the Go code
	$(LINT) fmt

.PHONY: docs
docs: ## Write the generated documentation anew
	$(GO) run ./cmd/session-api config -markdown > docs/configuration.md.new
	mv docs/configuration.md.new docs/configuration.md

.PHONY: licenses
licenses: ## Write THIRD-PARTY-NOTICES anew
	cd tools && $(GO) run ./licenses -write ..

.PHONY: clients
clients: ## Generate the clients from openapi.yaml
	tools/need.sh node npm
	GO=$(GO) tools/clients.sh

# How often make crash kills the service, make rolling restarts it, and make
# slow and make worst measure.
KILLS       ?= 1000
ROLLS       ?= 100
SLOW_ROUNDS ?= 5
WORST_ROUNDS ?= 5

.PHONY: crash
crash: ## Kill the service KILLS times under load, cut its power, and check what it kept
	tools/need.sh strace
	KILLS=$(KILLS) $(GO) test -v -count=1 -timeout 0 -tags power ./crash

.PHONY: rolling
rolling: ## Restart instances ROLLS times under load, and check that nobody notices
	tools/need.sh caddy nginx redis-server
	ROLLS=$(ROLLS) $(GO) test -v -count=1 -timeout 0 -run 'RollingRestart|SIGTERM' ./cmd/session-api

.PHONY: slow
slow: ## Measure what 5,000 slow connections, and one client with all of them, cost the others
	SLOW_ROUNDS=$(SLOW_ROUNDS) $(GO) test -v -count=1 -run 'SlowConnections|OneClient' ./cmd/session-api

.PHONY: worst
worst: ## Measure what the worst request of each route keeps others from, on each store
	tools/need.sh redis-server
	WORST_ROUNDS=$(WORST_ROUNDS) $(GO) test -v -count=1 -run 'WorstRequests|LeaveAProcessor' ./internal/api

# How long make soak lets each part go on that has no end of its own.
SOAK ?= 1m

.PHONY: soak
soak: ## Run the endurance parts of the tests at length, and hold promises of time to the letter
	tools/need.sh caddy nginx redis-server strace
	SOAK=$(SOAK) $(GO) test -count=1 -p 1 -timeout 0 -tags power ./cmd/session-api ./crash ./deploy ./internal/api ./internal/store/...

# How long make soak-volume goes on.
VOLUME_SOAK ?= 2h

.PHONY: soak-volume
soak-volume: ## Let sessions come and go on a small volume for VOLUME_SOAK, and check that nothing grows
	SOAK=$(VOLUME_SOAK) $(GO) test -v -count=1 -timeout 0 -run Soak ./internal/store/bolt

## Checking

.PHONY: lint
lint: golangci tidy openapi-lint shellcheck licensecheck vulncheck ## Run every check that is not a test

.PHONY: vet
vet: ## Run go vet alone; all that it does is part of golangci
	$(GO) vet ./...
	for module in $(MODULES); do $(GO) vet -C $$module ./...; done

.PHONY: golangci
golangci: ## Run the Go linters and the format check (.golangci.yml)
	$(LINT) config verify
	$(LINT) run ./...
	for module in $(MODULES) tools; do (cd $$module && $(GO) tool -modfile=$(CURDIR)/tools/go.mod golangci-lint run ./...); done

.PHONY: tidy
tidy: ## Check that go.mod and go.sum are tidy
	$(GO) mod tidy -diff
	for module in tools bench/peers/fasthttp bench/peers/scs $(MODULES); do (cd $$module && $(GO) mod tidy -diff); done

.PHONY: openapi-lint
openapi-lint: tools/node_modules/.package-lock.json ## Check openapi.yaml by Redocly's recommended rules
	REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true tools/node_modules/.bin/redocly lint openapi.yaml

tools/node_modules/.package-lock.json: tools/package.json tools/package-lock.json
	tools/need.sh npm
	npm --prefix tools ci --loglevel=error
	touch $@

.PHONY: shellcheck
shellcheck: ## Check the shell scripts
	tools/need.sh shellcheck
	shellcheck $(SCRIPTS)

.PHONY: licensecheck
licensecheck: ## Check the licenses of what is shipped, and that THIRD-PARTY-NOTICES is up to date
	cd tools && $(GO) run ./licenses ..

# required: fail where nothing could be checked, and try the module proxy first.
VULNCHECK ?=

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities, where their database can be reached
	GO=$(GO) VULNCHECK=$(VULNCHECK) tools/vulncheck.sh . $(MODULES)

## Measuring

# Flags for go run ./bench, which -h lists: BENCH='-rounds 7 -million=false'.
BENCH ?=
# What make profile looks at, and where it puts the profiles.
ROW   ?= GET
OUT   ?= bin/profiles

.PHONY: bench
bench: ## Measure the service beside yardsticks, and write docs/performance.md
	tools/need.sh wrk redis-server
	$(GO) run ./bench -write docs/performance.md $(BENCH)

.PHONY: profile
profile: ## Profile one row of the table of make bench: ROW='GET, Redis'
	tools/need.sh wrk redis-server
	$(GO) run ./bench -profile '$(ROW)' -out '$(OUT)' $(BENCH)

.PHONY: pgo
pgo: ## Renew the profile that make build and the image are optimised by, before a release
	tools/need.sh wrk
	$(GO) run ./bench -pgo $(PGO)

.PHONY: peers
peers: ## Compare with what else keeps sessions, and write docs/peers.md
	tools/need.sh wrk redis-server npm webdis
	tools/npm-ci.sh bench/peers/express
	$(GO) run ./bench -peers -write docs/peers.md $(BENCH)

.PHONY: bench-stores
bench-stores: ## Run the Go benchmarks of the stores
	$(GO) test -run '^$$' -bench . -benchmem ./internal/store/...

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (60s)
	FUZZTIME=$(FUZZTIME) GO=$(GO) tools/fuzz.sh

## Shipping

.PHONY: image
image: ## Build the container image session-api:VERSION
	docker build --build-arg VERSION=$(VERSION) --tag $(IMAGE):$(VERSION) .
