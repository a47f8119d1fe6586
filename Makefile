# Noctule's commands. `make help` lists them; CI runs the same targets as people do.
SHELL := /bin/bash
GO ?= go
BIN := bin/noctule
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 10s
SEEDS ?= 20000
SEED ?=
PREFIX ?= /usr/local
BENCH_SHORT ?= pairs-100-full,fanin-100-full,fanout-100-full,pair-1-full,pairs-100-100k,fanin-100-100k,fanout-100-100k,qos1-pairs-50-full,qos2-pairs-50-full,payload-4k
DESTDIR ?=
TEST_TIMEOUT ?= 600s
ROUNDS ?= 200
CUTS ?= 30

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the static binary bin/noctule
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN) ./cmd/noctule

.PHONY: run
run: build ## build and run the broker on the loopback addresses, port 1883
	./$(BIN) -v

.PHONY: deps
deps: ## install what the tests need beside Go (Debian packages, npm packages), or say what to install
	scripts/test-deps

.PHONY: test
test: deps ## run all tests
	$(GO) test -shuffle=on -timeout $(TEST_TIMEOUT) ./...

.PHONY: race
race: ## run the tests of the packages where threads meet under the race detector
	$(GO) test -race -shuffle=on -timeout $(TEST_TIMEOUT) -short ./loop ./router ./shard ./persist ./codec ./config ./auth/... ./logging ./sys ./transport ./cmd/...

.PHONY: arm
arm: deps ## the code of 32 bits compiles, and the assembly of ARM does what it must, in an emulator
	GOARCH=arm GOARM=6 $(GO) vet ./...
	GOARCH=arm64 CGO_ENABLED=0 $(GO) test -exec $$(command -v qemu-aarch64-static || command -v qemu-aarch64) -short ./codec ./router

.PHONY: vet
vet: ## go vet
	$(GO) vet ./...
	cd asm && $(GO) vet .

.PHONY: fmt-check
fmt-check: ## fail if a file is not formatted
	@out=$$(gofmt -l $$(find . -name '*.go' -not -path '*/node_modules/*')); if [ -n "$$out" ]; then echo "not formatted, run gofmt -w:"; echo "$$out"; exit 1; fi

.PHONY: staticcheck
staticcheck: ## staticcheck, pinned
	$(GO) run $(STATICCHECK) ./...
	cd asm && $(GO) run $(STATICCHECK) .

.PHONY: imports
imports: ## hold the import order of the architecture
	$(GO) test -count=1 -run TestImportOrder .

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME
	FUZZTIME=$(FUZZTIME) scripts/fuzz

.PHONY: sim
sim: ## long simulation: SEEDS seeds, or the one SEED
	$(GO) test ./sim -run TestSimulation -timeout 0 -count=1 -v $(if $(SEED),-sim.seed=$(SEED),-sim.seeds=$(SEEDS))

.PHONY: logins
logins: deps ## 10,000 logins at once with hashed passwords: what connected clients feel of it
	$(GO) test ./e2e -run TestLoginBurst -count=1 -v -logins 10000 -logins.p99 10ms

.PHONY: tls
tls: deps ## 5,000 idle TLS connections, and 200 handshakes at once: what they cost and what connected clients feel of it
	$(GO) test ./e2e -run 'TestTLSIdle|TestTLSHandshakeStorm' -count=1 -v -timeout 300s -tls.idle 5000 -tls.p99 10ms

.PHONY: crash
crash: ## kill the broker ROUNDS times under each commit policy: what was acknowledged must be there; SEED=n replays
	$(GO) test ./crash -run 'TestCrash$$' -timeout 0 -count=1 -v -crash.rounds $(ROUNDS) $(if $(SEED),-crash.seed $(SEED))

.PHONY: powercut
powercut: deps ## cut the power CUTS times under each commit policy (as root)
	$(GO) test ./crash -run 'TestPowerCut$$' -timeout 0 -count=1 -v -crash.cuts $(CUTS) $(if $(SEED),-crash.seed $(SEED))

.PHONY: microbench
microbench: ## run the Go benchmarks once
	$(GO) test -run '^$$' -bench . -benchtime 1x ./codec ./loop ./router ./shard

.PHONY: bench
bench: build deps ## CPU per message beside Debian's mosquitto in a minute; leaves a report, bench/results/latest-short.html
	./$(BIN) bench compare -reps 1 -seconds 1 -scenarios $(BENCH_SHORT) -json bench/results/latest-short.json -html bench/results/latest-short.html

.PHONY: bench-full
bench-full: build deps ## every scenario, five times; leaves a report, latest.html, and its figures in bench/results
	./$(BIN) bench compare -reps 5 -seconds 3 -json bench/results/latest.json -html bench/results/latest.html -svg bench/results/latest.svg

.PHONY: bench-durable
bench-durable: build deps ## durable sessions beside Debian's mosquitto, and stop and start with a million retained messages
	./$(BIN) bench compare -brokers noctule,noctule-memory,mosquitto -scenarios 'durable-*' -reps 3 -seconds 3
	./$(BIN) bench restart

.PHONY: conformance
conformance: ## write docs/conformance.md from the statements and the tests
	$(GO) run ./conformance/gen

.PHONY: man
man: ## write man/noctule.conf.5 and docs/noctule.conf.example from the key table
	$(GO) run ./config/gen

.PHONY: dist
dist: ## static binaries for amd64, arm64, armv7 and armv6 in dist/
	@mkdir -p dist
	CGO_ENABLED=0 GOARCH=amd64 $(GO) build -trimpath -ldflags '-s -w' -o dist/noctule-linux-amd64 ./cmd/noctule
	CGO_ENABLED=0 GOARCH=arm64 $(GO) build -trimpath -ldflags '-s -w' -o dist/noctule-linux-arm64 ./cmd/noctule
	CGO_ENABLED=0 GOARCH=arm GOARM=7 $(GO) build -trimpath -ldflags '-s -w' -o dist/noctule-linux-armv7 ./cmd/noctule
	CGO_ENABLED=0 GOARCH=arm GOARM=6 $(GO) build -trimpath -ldflags '-s -w' -o dist/noctule-linux-armv6 ./cmd/noctule

.PHONY: install
install: ## install binary, man pages, units of systemd, completions and examples under PREFIX
	@if command -v $(GO) >/dev/null; then $(MAKE) --no-print-directory build; \
	elif [ ! -x $(BIN) ]; then echo "$(GO) is not in the PATH: run make build first, as a user who has it" >&2; exit 1; fi
	install -D -m 755 $(BIN) $(DESTDIR)$(PREFIX)/sbin/noctule
	install -D -m 644 man/noctule.8 $(DESTDIR)$(PREFIX)/share/man/man8/noctule.8
	install -D -m 644 man/noctule.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/noctule.conf.5
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 && install -m 644 man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -D -m 644 scripts/completion/noctule.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/noctule
	install -D -m 644 scripts/completion/noctule.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/noctule.fish
	install -D -m 644 scripts/completion/noctule.zsh $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_noctule
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/sbin/noctule|$(PREFIX)/sbin/noctule|' scripts/noctule.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/noctule.service
	install -m 644 scripts/noctule.socket $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -D -m 644 scripts/noctule.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/noctule.conf
	install -D -m 644 docs/noctule.conf.example $(DESTDIR)$(PREFIX)/share/doc/noctule/noctule.conf.example
	install -m 644 scripts/noctule.logrotate $(DESTDIR)$(PREFIX)/share/doc/noctule
	install -d $(DESTDIR)$(PREFIX)/share/noctule/tune/profiles
	install scripts/tune/apply scripts/tune/check scripts/tune/revert $(DESTDIR)$(PREFIX)/share/noctule/tune
	install -m 644 scripts/tune/common.sh $(DESTDIR)$(PREFIX)/share/noctule/tune
	install -m 644 scripts/tune/profiles/* $(DESTDIR)$(PREFIX)/share/noctule/tune/profiles

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
