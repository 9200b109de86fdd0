#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs tests/blocks against the module that is built with the address and undefined-behaviour sanitizers. What they
# find in it ends the test that does it. Leaks are told from Python's and GNU Radio's own by our library in their stack.
# K chooses tests, as pytest's -k does.

. "$(dirname "$0")/common.sh"

prefix=$build/asan-blocks/prefix
python=$build/env/radio/bin/python
site=$prefix/$("$python" -c 'import os, sys, sysconfig
print(os.path.relpath(sysconfig.get_path("platlib"), sys.prefix))')
reports=$build/asan-blocks/reports
rm -rf "$reports"
mkdir -p "$reports"
export ORT_DISABLE_TELEMETRY=1 QT_QPA_PLATFORM=offscreen MPLBACKEND=Agg OPENBLAS_NUM_THREADS=1
export GRC_BLOCKS_PATH=$prefix/share/gnuradio/grc/blocks PYTHONPATH=$site
export ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=64:log_path=$reports/report:log_exe_name=1
export LSAN_OPTIONS=exitcode=0:suppressions=$root/scripts/lsan.supp
export UBSAN_OPTIONS=print_stacktrace=1:log_path=$reports/report
libraries="$(gcc -print-file-name=libasan.so):$(gcc -print-file-name=libubsan.so)"

step "Tests of the blocks under the address and undefined-behaviour sanitizers (pytest)"
status=0
LD_PRELOAD=$libraries timeout --kill-after=10 "${SECONDS_AT_MOST:-3000}" "$python" -m pytest -p no:cacheprovider \
    -k "${K:-}" "$root/tests/blocks" || status=$?

# A leak report has a block of lines for each stack, an error has its own.
awk -v RS= '/gnuradio-diffsem|diffsem_python/ && /leak of|ERROR: AddressSanitizer|runtime error/' \
    "$reports"/* 2>/dev/null >"$reports.ours" || true
if [ -s "$reports.ours" ]; then
    cat "$reports.ours"
    die "the sanitizers found something in ours (all reports: $reports)"
fi
exit $status
