# make demo and make test are all that a newcomer needs; both want Go and make
# and nothing else.

GO      ?= go
RUNS    ?= 1000
SEED    ?= 1
PLANT   ?=
FUZZ    ?= 10s

# Seeds of the fault matrix for each row and rate, and what its files are made in.
MATRIX_SEEDS ?= 10
MATRIX_DIR   ?= bin/matrix
MATRIX_TMP   ?= $(firstword $(wildcard /dev/shm) $(wildcard /tmp))

.PHONY: help demo test runbooks build browser lab alerts prometheus dashboards simulate replay reproduce matrix matrix-ci bench race fuzz lint vet dist dist-check deploy-check clean

help: ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: ## two minutes of outages: simulator, supervisor, sample bot, verdict
	@$(GO) run ./cmd/dualgram demo

test: ## everything that needs only Go, real processes included
	$(GO) vet ./...
	BBOLT_VERIFY=all $(GO) test -timeout 15m ./...

lab: ## outages behind a real nginx, in a network namespace (root; nginx, nftables, iproute2)
	cd cmd/dualgram/e2e && $(GO) test -count=1 -tags lab -timeout 15m -parallel 32 -run '^TestLab$$'

alerts: ## promtool and amtool on the rules and their unit tests, dashboards up to date (Debian: prometheus, prometheus-alertmanager)
	cd runbooks/alerts && promtool check rules dualgram.rules.yaml && promtool test rules dualgram.rules_test.yaml dualgram.rules_hours_test.yaml dualgram.rules_days_test.yaml
	$(GO) test -count=1 -tags dashboards ./cmd/dualgram/dashboards
	cd runbooks/alerts && amtool check-config alertmanager.example.yaml

dashboards: ## write runbooks/dashboards anew from their Go code
	$(GO) run -tags dashboards ./cmd/dualgram/dashboards runbooks/dashboards

prometheus: ## a real Prometheus watches a real dualgram through outages (Debian: prometheus)
	cd cmd/dualgram/e2e && $(GO) test -count=1 -tags prometheus -timeout 8m -run '^Test(Prometheus|Alarms)$$'

# What axe-core is to the page's accessibility; npm brings it.
AXE := bin/browser/node_modules/axe-core/axe.min.js

browser: $(AXE) ## the status page in headless Chromium, under 90 s (chromium, npm); PAGE_SHOTS=dir keeps pictures
	AXE_CORE=$(CURDIR)/$(AXE) $(GO) test -count=1 -tags browser -timeout 5m -run '^(TestLooks|TestPage)$$' ./supervisor/console/page ./cmd/dualgram/e2e

$(AXE):
	npm install --silent --no-audit --no-fund --no-save --prefix bin/browser axe-core@4.14.1

runbooks: ## the commands of every runbook, on hosts in the state that it is about (curl, prometheus); under 2 min
	cd cmd/dualgram/e2e && $(GO) test -count=1 -tags runbooks -timeout 10m -parallel 16 -run '^(TestRunbook|TestEveryPageIsPlayed)'

build: ## the binary, in bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/dualgram ./cmd/dualgram

simulate: ## RUNS=1000 seeded outages in virtual time; PLANT=loss|double|late must fail
	$(GO) test -count=1 -timeout 4h -run '^TestSimulate$$' ./supervisor -v -sim.runs=$(RUNS) -sim.seed=$(SEED) -sim.plant=$(PLANT) | grep -v -E '^\s*(=== |--- PASS)'

replay: ## SEED=n: one simulated outage again, with its log
	$(GO) test -count=1 -run '^TestSimulate$$' ./supervisor -v -sim.runs=1 -sim.seed=$(SEED) -sim.plant=$(PLANT) -sim.log

reproduce: ## SEED=n: how often of 20 a replay has the same story
	$(GO) test -count=1 -run '^TestReproduce$$' ./supervisor -v -sim.seed=$(SEED) -sim.reproduce=20

# The test binary is run by hand, since go test shows nothing until its end.
matrix: ## MATRIX_SEEDS=10: every fault and false alarm, to runbooks/fault-matrix.md; under 45 min
	@mkdir -p $(MATRIX_DIR)
	$(GO) test -c -o $(MATRIX_DIR)/ ./supervisor ./cmd/dualgram/e2e
	-cd supervisor && $(CURDIR)/$(MATRIX_DIR)/supervisor.test -test.run '^TestMatrix$$' -test.timeout 90m \
	  -matrix.seeds=$(MATRIX_SEEDS) -matrix.dir=$(MATRIX_TMP) -matrix.json=$(CURDIR)/$(MATRIX_DIR)/virtual.json
	-cd cmd/dualgram/e2e && $(CURDIR)/$(MATRIX_DIR)/e2e.test -test.run '^TestMatrix$$' -test.timeout 30m \
	  -matrix.seeds=3 -matrix.json=$(CURDIR)/$(MATRIX_DIR)/real.json
	$(GO) run ./cmd/dualgram/matrix -out runbooks -command "make matrix MATRIX_SEEDS=$(MATRIX_SEEDS)" \
	  -revision "$$(git rev-parse --short HEAD)" $(MATRIX_DIR)/virtual.json $(MATRIX_DIR)/real.json

matrix-ci: ## its slice for CI, under 2 min, which only checks the bounds
	@mkdir -p $(MATRIX_DIR)
	$(GO) test -c -o $(MATRIX_DIR)/ ./supervisor
	cd supervisor && $(CURDIR)/$(MATRIX_DIR)/supervisor.test -test.run '^TestMatrix$$' -test.timeout 15m \
	  -matrix.slice -matrix.seeds=1 -matrix.dir=$(MATRIX_TMP)

bench: ## durable intake, drain, idle cost; ratios within one run
	@$(GO) run ./cmd/dualgram/bench

# The supervisor's tests take the longest by far and run one after the other: two
# processes share them. What only repeats in virtual time what other tests have done
# once is left out.
RACE := CGO_ENABLED=1 $(GO) test -race
race: ## the tests under the race detector (needs a C compiler)
	@mkdir -p bin/race
	$(RACE) -c -o bin/race/supervisor.test ./supervisor
	cd supervisor && { \
	  ../bin/race/supervisor.test -test.short -test.timeout 20m -test.run '^Test[A-G]' & one=$$!; \
	  ../bin/race/supervisor.test -test.short -test.timeout 20m -test.skip '^Test([A-G]|Matrix$$|Simulate$$)' & two=$$!; \
	  wait $$one && wait $$two || { wait; exit 1; }; }
	$(RACE) -short -timeout 20m -skip '^TestOutage$$/^refused$$|^TestFlappingBuriesNothing$$' $$($(GO) list ./... | grep -v '/supervisor$$')

fuzz: ## every fuzz target for FUZZ=10s
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$f"; \
	    $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZ) -fuzzminimizetime 10x $$pkg; \
	  done; done

lint: ## golangci-lint, which has to be installed
	golangci-lint run ./...

dist: ## what is released, in .dist/: static binaries for four platforms, checksums
	$(GO) run ./cmd/dualgram/dist -out .dist

dist-check: ## one of them built twice, the second time elsewhere: the same? (-cold compiles all again)
	$(GO) run ./cmd/dualgram/dist -out bin/dist -platforms linux/amd64 -check

deploy-check: ## what runbooks/deploy holds, with the tools that read it (root; caddy, systemd)
	cd cmd/dualgram/e2e && $(GO) test -count=1 -tags deploy -timeout 10m -run '^TestDeploy'
	cd .ci/k8s && $(GO) vet ./... && $(GO) test -count=1 ./...

clean: ## remove what make built
	rm -rf bin .dist
