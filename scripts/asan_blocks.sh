#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs tests/blocks against the module that is built with the address and undefined-behaviour sanitizers (build.sh
# asan-blocks). Bad memory ends the test that meets it; undefined behaviour and leaks are told at the end. What Python,
# GNU Radio and ONNX Runtime keep until the process ends is told from ours by our library in the stack.
# K chooses tests, as pytest's -k does.

. "$(dirname "$0")/common.sh"

prefix=$build/asan-blocks/prefix
python=$build/env/radio/bin/python
site=$prefix/$(site_packages "$python")
reports=$build/asan-blocks/reports
rm -rf "$reports"
mkdir -p "$reports"
export ORT_DISABLE_TELEMETRY=1 QT_QPA_PLATFORM=offscreen MPLBACKEND=Agg OPENBLAS_NUM_THREADS=1
export GRC_BLOCKS_PATH=$prefix/share/gnuradio/grc/blocks PYTHONPATH=$site
export ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=64:malloc_context_size=12:log_path=$reports/report
export LSAN_OPTIONS=exitcode=0:suppressions=$root/scripts/lsan.supp:print_suppressions=0
export UBSAN_OPTIONS=print_stacktrace=1:log_path=$reports/report
libraries="$(gcc -print-file-name=libasan.so):$(gcc -print-file-name=libubsan.so)"

# Left out: what measures time or memory, which are other ones under the sanitizers; deadlines of pictures; and what the
# companion's processes do within time limits of their own, where no work() of ours runs.
left_out="overload_balances or samples_of_dropped or within_a_second or less_than_a_second or ctrl_c or statistics_add_up"
left_out+=" or memory_is_flat or test_semantic_previews or test_grc or test_onnx_grc or compiled_by_grc or qt_comes"

step "Tests of the blocks under the address and undefined-behaviour sanitizers (pytest)"
status=0
LD_PRELOAD=$libraries "$python" -m pytest -p no:cacheprovider -o timeout=300 -o faulthandler_timeout=290 \
    -k "${K:+($K) and }not ($left_out)" "$root/tests/blocks" || status=$?

# A report of leaks has a paragraph for each stack; an error has its own.
awk -v RS= '/gnuradio-diffsem|diffsem_python/ && /leak of/ || /ERROR: AddressSanitizer|runtime error/' \
    "$reports"/* 2>/dev/null >"$reports.ours" || true
if [ -s "$reports.ours" ]; then
    cat "$reports.ours"
    die "the sanitizers found something in ours (all reports: $reports)"
fi
exit $status
