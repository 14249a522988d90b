# Each target is what a person could have typed. `make` alone says what there is.
GOLANGCI_LINT := v2.15.0
PEBBLE := v2.10.1
GOVULNCHECK := v1.9.0
FUZZTIME ?= 30s
MEDIATIME ?= 5m
MINUTES ?= 20

# The packages whose tests need nothing but Go and FFmpeg's libraries; test/ drives browsers and measures.
UNIT = $(shell go list ./... | grep -v '^sightline/test/')

# Where the browsers are, for test/: each system has its own name for them.
export CHROMIUM ?= $(firstword $(shell command -v chromium google-chrome chromium-browser) /usr/bin/chromium)
export FIREFOX ?= $(firstword $(shell command -v firefox-esr firefox) /usr/bin/firefox-esr)

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' Makefile

run: ## install what is missing, build, and show the demo and this machine's cameras: prints one link
	@scripts/setup run
	@$(MAKE) --no-print-directory build
	bin/sightline serve --demo --log-level warn

build: web capture ## build bin/sightline and bin/sightline-capture
	CGO_ENABLED=0 go build -trimpath -o bin/sightline ./cmd/sightline

capture: ## build bin/sightline-capture alone
	CGO_ENABLED=1 go build -trimpath -o bin/sightline-capture ./cmd/sightline-capture

web: ## bundle the player and the pages; needs no Node
	go run ./web/build

package: ## make the player's npm package in bin/package
	go run ./web/build -package bin/package

test: ## install what is missing and run all tests, the real-browser ones included
	@scripts/setup test
	@$(MAKE) --no-print-directory --keep-going build race web-test e2e

race: web ## run the unit tests under the race detector
	go test -race $(UNIT)

web-test: web/node_modules ## check the TypeScript's types and run its tests
	npm run --prefix web check
	rm -rf bin/web-test
	go run ./web/build -tests bin/web-test
	node --test --test-reporter=spec $$(find bin/web-test -name '*.mjs')

e2e: build test/e2e/node_modules bin/pebble/$(PEBBLE)/pebble ## run both programs with real Chromium and Firefox
	PEBBLE=$(CURDIR)/bin/pebble/$(PEBBLE) node --test --test-reporter=spec --test-concurrency=1 test/e2e/*.test.mjs

fuzz: web ## fuzz every parser of outside bytes, each for FUZZTIME (30s)
	scripts/fuzz $(FUZZTIME)

fuzz-million: web ## give every fuzz target a million inputs (hours); the last line is JSON
	scripts/fuzz 1000000x

fuzz-media: build ## throw broken media at the real programs for MEDIATIME (5m); the last line is JSON
	go test ./test/media
	go run ./test/media -duration $(MEDIATIME)

lint: web bin/lint/$(GOLANGCI_LINT)/golangci-lint web/node_modules ## run the linters over Go and TypeScript
	bin/lint/$(GOLANGCI_LINT)/golangci-lint run --allow-parallel-runners ./...
	npm run --prefix web check

cross: web ## build sightline for Linux, macOS and Windows on amd64 and arm64, into bin/cross
	for t in linux darwin windows; do for a in amd64 arm64; do CGO_ENABLED=0 GOOS=$$t GOARCH=$$a go build -trimpath -o bin/cross/sightline-$$t-$$a$$(GOOS=$$t go env GOEXE) ./cmd/sightline || exit 1; done; done

vectors: ## write the golden vectors of the wire protocol anew; read the difference
	go test ./internal/wire -update

bench-latency: build test/e2e/node_modules ## measure capture to screen in real browsers; the last line is JSON
	node test/bench/latency.mjs

bench-viewers: build ## measure ten viewers of one stream; the last line is JSON
	go run ./test/bench/viewers

bench-admission: build ## measure what it costs to let viewers in, and how many a second are; the last line is JSON
	go run ./test/bench/admission

bench-padding: build ## measure what padding costs and what sizes still tell (a minute); the last line is JSON
	go run ./test/bench/padding

bench-fanout: build ## measure what one more viewer costs, against a bare TLS writer; fails beyond its limits (QUICK=1: half a minute, wide limits); the last line is JSON
	go run ./test/bench/fanout $(if $(QUICK),-quick)

bench-bad: build ## measure what 50 stalled and 50 slow viewers among 500 do to the others; the last line is JSON
	go run ./test/bench/fanout -bad $(if $(QUICK),-quick)

bench-scale: build ## measure how the cost grows with streams and viewers, into bin/scale.csv and .svg; the last line is JSON
	go run ./test/bench/fanout -scale bin/scale.csv -viewers 1,4,16,50,100,200,400,600,800,1000

bench-compare: ## run the benchmarks of the hot paths here and at REV in turns, and print both and their ratios
	scripts/bench-compare $(REV)

bench-restart: build test/e2e/node_modules ## measure how long a killed capture process is away; the last line is JSON
	node test/bench/restart.mjs

soak-player: MINUTES = 10
soak-player: build test/e2e/node_modules ## watch the player's memory for MINUTES (10); the last line is JSON
	node test/bench/soak-player.mjs $(MINUTES)

bench-wall: build test/e2e/node_modules ## measure a wall of sixteen cameras in Chromium; the last line is JSON
	node test/bench/wall.mjs

bench-cameras: build ## measure what one bad camera does to nineteen others (seven minutes); the last line is JSON
	go run ./test/bench/cameras

bench-capture: capture ## measure what capturing costs in time, processor and quality; the last line is JSON
	go run ./test/bench/capture

soak-capture: capture ## watch capture's memory over 10,000 starts of renditions and 1,000 reconnects (5 min); the last line is JSON
	go run ./test/bench/capture -soak

attack: build test/e2e/node_modules ## attack every door of the real server, 100,000 times; the last line is JSON
	go run ./test/attack

attack-quick: build test/e2e/node_modules ## the same with each case once; the last line is JSON
	go run ./test/attack -quick

tls-check: build ## have testssl.sh look at a server on 127.0.0.1 (two minutes); the last line is JSON
	node test/tls/check.mjs

vulncheck: web bin/vuln/$(GOVULNCHECK)/govulncheck ## look for known vulnerabilities in what is used, at vuln.go.dev or in VULNDB=file:///a/clone/of/vulndb/data/osv
	bin/vuln/$(GOVULNCHECK)/govulncheck $(if $(VULNDB),-db $(VULNDB)) ./...

v4l2: build ## try cameras of this machine against a real driver, in an emulated guest (a minute; needs QEMU)
	test/v4l2/run

bench-networks: build test/e2e/node_modules ## measure viewers behind bad networks, in network namespaces, as root; the last line is JSON
	go run ./test/networks

soak-wall: build test/e2e/node_modules ## watch a wall whose cameras, logins and server come and go for MINUTES (20); the last line is JSON
	node test/bench/soak-wall.mjs $(MINUTES)

eval: build test/e2e/node_modules ## measure all that is promised and write docs/evaluation (under 20 minutes, nothing else running; root for bad networks)
	go run ./test/eval

eval-quick: build test/e2e/node_modules ## the same in three minutes and less of it, into bin/evaluation
	go test ./test/eval
	go run ./test/eval -quick

screens: build test/e2e/node_modules ## take the pictures of every page anew, into docs/screens
	node scripts/screens.mjs

check: ## run all that guards the main branch, as CI does
	.ci/run

clean: ## remove what was built and fetched into this folder
	rm -rf bin test/out web/node_modules test/e2e/node_modules
	find web/dist -mindepth 1 -not -name .gitkeep -delete

%/node_modules: %/package-lock.json
	npm ci --prefix $* --no-audit --no-fund
	@touch $@

bin/lint/$(GOLANGCI_LINT)/golangci-lint:
	GOBIN=$(CURDIR)/$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)

bin/vuln/$(GOVULNCHECK)/govulncheck:
	GOBIN=$(CURDIR)/$(@D) go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK)

bin/pebble/$(PEBBLE)/pebble:
	GOBIN=$(CURDIR)/$(@D) go install github.com/letsencrypt/pebble/v2/cmd/pebble@$(PEBBLE) github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv@$(PEBBLE)

.PHONY: help run build capture web package test race web-test e2e fuzz fuzz-million fuzz-media lint cross vectors bench-latency bench-viewers bench-admission bench-padding bench-restart soak-player bench-wall bench-cameras bench-capture soak-capture v4l2 bench-networks bench-fanout bench-bad bench-scale bench-compare attack attack-quick tls-check vulncheck soak-wall eval eval-quick screens check clean
