# SPDX-License-Identifier: GPL-3.0-or-later
# `make demo` and `make test` each do everything from a bare Debian or Ubuntu on; see `make help`.
#
# Variables: TORCH_INDEX  where PyTorch comes from (a URL, a folder of wheels, or `pypi` for the CUDA build)
#            CAPTURE      a recording of 802.11 packets for the demo
#            JOBS         compile jobs (default: all cores)       WERROR=OFF warnings are no errors
#                         (default AUTO: they are with GCC 12, whose warnings we know)
#            RINGS        which rings `make test` runs: core asan install python lab form

.DEFAULT_GOAL := help
.PHONY: help demo test lab env build asan asan-blocks tsan fuzz onnx-suite import-suite soak bench impair format lint clean distclean install uninstall
export TORCH_INDEX JOBS WERROR RINGS

help:
	@echo 'gr-diffsem: generative receivers for GNU Radio'
	@echo
	@echo '  make demo                everything, then a table and pictures   (CAPTURE=file adds a recording)'
	@echo '  make test                everything, then every test'
	@echo
	@echo '  make build               the module, installed into build/env/radio; the command build/bin/gr-diffsem'
	@echo '  make lab                 the environment that trains and exports (PyTorch, Sionna)'
	@echo '  make fuzz                a million inputs for each reader of files (libFuzzer; RUNS=, TARGETS=)'
	@echo '  make asan-blocks         the tests of the blocks under the address sanitizer (long; K=: only those)'
	@echo '  make tsan                the tests of the core under the thread sanitizer'
	@echo "  make onnx-suite          ONNX's own tests of operators through onnx_inference (K=: only those)"
	@echo '  make import-suite        saved diffusers pipelines as packages, against diffusers itself (K=: only those)'
	@echo '  make soak                the estimators at ten times the load, with faults, for MINUTES=60 (SEED=1)'
	@echo '  make bench               what is timed'
	@echo '  make impair              a picture through what real radios do to samples, against floors'
	@echo '  make format | lint       put the sources into form | check them'
	@echo '  make install             into PREFIX (default /usr/local); make uninstall takes it away again'
	@echo '  make clean | distclean   remove the build | and the environments'
	@echo
	@echo 'gnuradio-companion with these blocks:  . build/setup_env.sh && gnuradio-companion'

env:
	@scripts/packages.sh
	@scripts/env.sh radio

build: env
	@scripts/onnxruntime-headers.sh
	@scripts/build.sh radio
	@scripts/launcher.sh

asan: build
	@scripts/build.sh asan

asan-blocks: build
	@scripts/build.sh asan-blocks
	@scripts/asan_blocks.sh

tsan: build
	@scripts/build.sh tsan
	@ctest --test-dir build/tsan --output-on-failure --exclude-regex '^fuzz'

fuzz: build
	@scripts/fuzz.sh

onnx-suite: build
	@scripts/onnx_suite.sh $(if $(K),-k '$(K)')

import-suite: build
	@scripts/import_suite.sh $(if $(K),-k '$(K)')

MINUTES ?= 60
SEED ?= 1
soak: build
	@ORT_DISABLE_TELEMETRY=1 build/env/radio/bin/python tests/soak/soak.py --minutes $(MINUTES) --seed $(SEED)

lab: env
	@scripts/env.sh lab

demo: build
	@build/bin/gr-diffsem demo $(if $(CAPTURE),--capture '$(CAPTURE)')

test: build
	@scripts/test.sh

bench: build
	@scripts/build.sh radio --target benches
	@build/bin/gr-diffsem bench

impair: build
	@build/bin/gr-diffsem eval impair

format: env
	@scripts/form.sh fix

lint: env
	@scripts/form.sh check

PREFIX ?= /usr/local
install: env
	@scripts/onnxruntime-headers.sh
	@scripts/build.sh system $(PREFIX)

uninstall:
	@cmake --build build/system --target uninstall

clean:
	rm -rf build/cmake build/asan build/system build/bin build/test-logs

distclean:
	rm -rf build
