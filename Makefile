# A thin front. Building is CMake's work: see CMakePresets.json for the builds and CMakeLists.txt for the options.
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
release := build/release

.PHONY: all demo test bench install uninstall format clean

all: ## build libkist.so, libkist.a and the kist tool in build/release
	@tests/setup build
	@cmake --preset release -DCMAKE_INSTALL_PREFIX=$(PREFIX) >/dev/null
	@cmake --build $(release) -j $(JOBS) --target kist kist_static kist_tool

demo: all ## show the main job on this machine's package list
	@tests/demo/demo $(release)

test: ## build and run every test
	@tests/setup test
	@tests/run

bench: ## compare with the peers that are installed
	@tests/setup bench
	@cmake --preset release -DKIST_BUILD_BENCH=ON >/dev/null
	@cmake --build $(release) -j $(JOBS)

install: all ## into $(DESTDIR)$(PREFIX)
	@DESTDIR=$(DESTDIR) cmake --install $(release)

uninstall: ## what the last install put there
	@while read -r file; do rm -fv "$(DESTDIR)$$file"; done <$(release)/install_manifest.txt

format: ## lay out every C and C++ file as .clang-format says
	@git ls-files '*.c' '*.cc' '*.h' | xargs clang-format -i

clean:
	@rm -rf build
