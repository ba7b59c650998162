# ironglass: the usual jobs. Each of `make run` and `make test` is enough by
# itself on a Debian or Ubuntu machine with Go, Node, make and git.

GO      ?= go
PKGS    ?= ./...
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# Where `make test` may take long: the slowest package on a busy small machine.
TESTTIMEOUT ?= 30m
# How long each fuzz target and each benchmark runs; 10000x is that many times.
FUZZTIME  ?= 30s
BENCHTIME ?= 1s
# CONFIG is what `make run` serves.
CONFIG ?= deploy/demo/demo.yaml
# How long the soak test runs and how often it kills; make test runs a short one.
SOAKTIME  ?= 10m
SOAKKILLS ?= 50

GOLANGCI_LINT_VERSION := v2.15.0
GOVULNCHECK_VERSION   := v1.9.0

# Static programs that do not carry the builder's paths. The commit comes from
# VERSION, so that a build from an unpacked archive works as well.
BUILDFLAGS := -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)'

.DELETE_ON_ERROR:

.PHONY: help
help:
	@echo 'make run       build, then serve $(CONFIG) on http://127.0.0.1:6080/'
	@echo 'make test      all tests that one machine can run'
	@echo 'make build     bin/ironglass and bin/ironglass-supervisor'
	@echo 'make web       fetch the parts of the console page that npm holds'
	@echo 'make generate  write the generated sources anew'
	@echo 'make soak      $(SOAKTIME) of everything at once, with $(SOAKKILLS) kills'
	@echo 'make lint      formatting, vet, golangci-lint, known vulnerabilities, scripts'
	@echo 'make bench     benchmarks and the figures of the whole path'
	@echo 'make bench-peers  servers side by side in every load; writes docs/bench-peers.md'
	@echo 'make bench-proxy  viewers through the proxy and websockify; writes docs/bench-proxy.md'
	@echo 'make fuzz      each fuzz target for FUZZTIME ($(FUZZTIME))'
	@echo 'make clean     remove what was built; bin/tools stays'

# --- the main job

.PHONY: run
run: deps-run build
	@bin/ironglass serve -config $(CONFIG)

.PHONY: build
build: web
	CGO_ENABLED=0 $(GO) build $(BUILDFLAGS) -o bin/ironglass ./cmd/ironglass
	CGO_ENABLED=0 $(GO) build $(BUILDFLAGS) -o bin/ironglass-supervisor ./cmd/ironglass-supervisor

# The page's packages, as web/package-lock.json pins them.
.PHONY: web
web: web/static/novnc/core/rfb.js

web/static/novnc/core/rfb.js: web/package.json web/package-lock.json web/fetch-novnc.sh
	$(GO) generate ./web
	@touch $@

# Sources that are committed and made from other sources.
.PHONY: generate
generate: web
	$(GO) generate ./...

# --- checks

# -race needs cgo and a C compiler; the programs that the tests build and run
# are the static ones. CI=true turns a missing part into a failure.
.PHONY: test
test: deps-test web
	CI=true CGO_ENABLED=1 $(GO) test -race -timeout $(TESTTIMEOUT) $(PKGS)

.PHONY: soak
soak: deps-test web
	CI=true CGO_ENABLED=1 IRONGLASS_SOAK=$(SOAKTIME) IRONGLASS_SOAK_KILLS=$(SOAKKILLS) \
		$(GO) test -race -count 1 -timeout 1h -v -run '^TestSoak$$' ./integration

.PHONY: bench
bench: deps-test web
	CGO_ENABLED=0 $(GO) test -run '^$$' -bench . -benchtime $(BENCHTIME) -benchmem -timeout $(TESTTIMEOUT) $(PKGS)
	$(MAKE) bench-peers bench-proxy

# The servers of X screens side by side, which takes about 14 minutes; flags
# such as BENCHPEERS='-loads video -viewers 1' make it less.
BENCHPEERS ?= -o docs
# Viewers through the service against viewers through websockify.
.PHONY: bench-proxy
bench-proxy: deps-test web
	$(GO) run ./integration/benchproxy -o docs/bench-proxy.md

.PHONY: bench-peers
bench-peers: deps-test web
	$(GO) run ./integration/benchpeers $(BENCHPEERS)

# `go test -fuzz` takes one target of one package at a time.
.PHONY: fuzz
fuzz: web
	@set -e; for pkg in $$($(GO) list $(PKGS)); do \
		for target in $$(CGO_ENABLED=0 $(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			CGO_ENABLED=0 $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

.PHONY: lint
lint: deps-lint web
	@.ci/gofmt
	$(GO) vet ./...
	@tool=$$(.ci/tool github.com/golangci/golangci-lint/v2/cmd/golangci-lint $(GOLANGCI_LINT_VERSION)) && \
		echo "golangci-lint $(GOLANGCI_LINT_VERSION)" && "$$tool" run ./...
	@tool=$$(.ci/tool golang.org/x/vuln/cmd/govulncheck $(GOVULNCHECK_VERSION)) && \
		echo "govulncheck $(GOVULNCHECK_VERSION)" && .ci/vulncheck "$$tool"
	@.ci/scripts

# --- what the machine must have

.PHONY: deps-run deps-test deps-lint
deps-run deps-test deps-lint: deps-%:
	@deploy/deps.sh $*

.PHONY: clean
clean:
	rm -f bin/ironglass bin/ironglass-supervisor
	rm -rf bin/state web/node_modules web/static/novnc
	$(GO) clean -testcache
