# A thin front. Building is CMake's work: CMakePresets.json has the builds, CONTRIBUTING.md the options.
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
KIST_KILLS ?= 300
KIST_CRASH_STATES ?= 72000
KIST_CRASH_SCALE ?= 6
KIST_STEPS ?= 100000
SOAK_SECONDS ?= 600
MAKEFLAGS += --no-print-directory
release := build/release
build := cmake --build
INSTALLED ?= $(release)/installed.txt

.PHONY: all demo test bench fuzz crash soak coverage valgrind bare packages reproducible abi install uninstall format clean help

all: ## build libkist.so, libkist.a and the kist tool in build/release
	@tests/setup build
	@cmake --preset release -DCMAKE_INSTALL_PREFIX=$(PREFIX) >/dev/null
	@$(build) $(release) -j $(JOBS) --target kist kist_static kist_tool manual

demo: all ## show the main job on this machine's package list
	@tests/demo/demo $(release)

test: ## build and run every test
	@tests/setup test
	@tests/run

bench: ## compare with the peers that are installed
	@tests/setup bench
	@tests/bench/run

fuzz: ## FUZZ_SECONDS of each fuzz target; findings stay in build/fuzz/found, sums in build/fuzz/total.tsv
	@tests/setup fuzz
	@cmake --preset fuzz >/dev/null
	@$(build) build/fuzz -j $(JOBS)
	@fuzz/run -s $(FUZZ_SECONDS)

crash: ## longer than make test: KIST_KILLS of a writer, KIST_CRASH_STATES distinct states of each workload
	@tests/setup test
	@cmake --preset release -DKIST_BUILD_TESTS=ON >/dev/null
	@$(build) $(release) -j $(JOBS) --target fault.kill fault.crash
	@CMOCKA_TEST_ABORT=1 KIST_KILLS=$(KIST_KILLS) $(release)/tests/fault.kill
	@KIST_CRASH_STATES=$(KIST_CRASH_STATES) KIST_CRASH_SCALE=$(KIST_CRASH_SCALE) \
	  tests/fault/crash.py $(release)/tests/fault.crash

soak: ## longer than make test: KIST_STEPS random steps beside the models; memory_budget under load for SOAK_SECONDS, twice
	@tests/setup test
	@cmake --preset release -DKIST_BUILD_TESTS=ON >/dev/null
	@$(build) $(release) -j $(JOBS) --target model.model model.interface memory_soak
	@KIST_SEED=$${KIST_SEED:-$$(date +%s)}; export KIST_SEED; echo "KIST_SEED=$$KIST_SEED"; \
	  for model in model interface; do \
	    CMOCKA_TEST_ABORT=1 KIST_STEPS=$(KIST_STEPS) $(release)/tests/model.$$model || exit 1; done; \
	  for mib in 64 1024; do \
	    $(release)/tests/memory_soak $$mib $(SOAK_SECONDS) $(release)/memory-$$mib.csv || exit 1; done

valgrind: ## a part of the tests under valgrind, which knows no mimalloc
	@tests/setup test
	@cmake --preset bare -DKIST_BUILD_TESTS=ON >/dev/null
	@JOBS=$(JOBS) tests/valgrind build/bare

bare: ## build without mimalloc and run every test
	@tests/setup test
	@tests/run bare

packages: ## build the Debian packages in build/packages; install, use and remove them in a test
	@tests/setup packages
	@JOBS=$(JOBS) pkgconfig/packages
	@python3 tests/consumer/packages.py build/packages

reproducible: ## build twice in different places and compare every byte
	@tests/setup build
	@python3 tests/consumer/reproducible.py $(JOBS)

abi: all ## take additions to kist.h into the stored promise, tests/consumer/abi; refuses any change
	@tests/setup test
	@python3 tests/consumer/abi.py $(release) --accept

coverage: ## lines and branches that the tests reach, and the fuzz corpora alone; build/coverage/coverage.html
	@tests/setup coverage
	@tests/coverage -j $(JOBS)
	@tests/coverage -j $(JOBS) --corpora

# A copy goes to a place of its own first, which tells the directories that are about to be made.
install: all ## into $(DESTDIR)$(PREFIX)
	@rm -rf $(INSTALLED).tree
	@DESTDIR=$(abspath $(INSTALLED)).tree cmake --install $(release) --prefix $(PREFIX) >/dev/null
	@(cd $(INSTALLED).tree && find . -mindepth 1 -type d) | sed 's|^\.|$(DESTDIR)|' | \
	  while read -r path; do [ -d "$$path" ] || echo "$$path"; done >>$(INSTALLED).made
	@rm -rf $(INSTALLED).tree
	@DESTDIR=$(DESTDIR) cmake --install $(release) --prefix $(PREFIX) >$(INSTALLED).log || \
	  { cat $(INSTALLED).log; exit 1; }
	@cat $(INSTALLED).log
	@sed -n 's/^-- \(Installing\|Up-to-date\): //p' $(INSTALLED).log >$(INSTALLED)

uninstall: ## what the last install put there, and the directories that installing made, where empty
	@[ -e $(INSTALLED) ] || { echo "nothing was installed from here: no $(INSTALLED)"; exit 1; }
	@while read -r path; do [ -d "$$path" ] || rm -fv "$$path"; done <$(INSTALLED)
	@sort -ur $(INSTALLED).made | xargs -r -d '\n' rmdir 2>/dev/null || true
	@rm -f $(INSTALLED) $(INSTALLED).log $(INSTALLED).made

format: ## lay out every C and C++ file as .clang-format says
	@git ls-files '*.c' '*.cc' '*.h' | xargs clang-format -i

clean: ## remove every build
	@rm -rf build

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 14
