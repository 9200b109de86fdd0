#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs every ring of tests and the checks of form, then adds up. Goes on after a failure, and ends with it.
# RINGS chooses, e.g. RINGS="core python" (default: all).

. "$(dirname "$0")/common.sh"

rings=${RINGS:-core asan install python lab form}
radio=$build/env/radio/bin/python
lab=$build/env/lab/bin/python
logs=$build/test-logs
slowest=(--durations=15 --durations-min=2)
mkdir -p "$logs"
rm -f "$logs"/*
touch "$logs/failed"
export ORT_DISABLE_TELEMETRY=1 QT_QPA_PLATFORM=offscreen MPLBACKEND=Agg
export OPENBLAS_NUM_THREADS=1 # NumPy's threads would wait for each other behind what runs beside
export GRC_BLOCKS_PATH=$build/env/radio/share/gnuradio/grc/blocks
export DIFFSEM_DATA=${DIFFSEM_DATA:-$(dirname "$root")/shared/data}

wants() { [[ " $rings " == *" $1 "* ]]; }

# ring NAME SECONDS command...: its output is shown and kept; a ring that hangs is killed. The command is to write its
# results as JUnit XML into $logs/NAME.xml: a ring without has failed.
ring() {
    local name=$1 seconds=$2 status=0
    shift 2
    timeout --foreground --kill-after=10 "$seconds" "$@" 2>&1 | tee "$logs/$name.log" || status=${PIPESTATUS[0]}
    if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
        printf 'ring %s was stopped after %s s\n' "$name" "$seconds"
    fi
    [ "$status" -eq 0 ] || echo "$name" >>"$logs/failed"
}

# one_test NAME passed|skipped|failed: the results of a ring that is one test.
one_test() {
    local inside=''
    [ "$2" = passed ] || inside="<${2/%failed/failure}/>"
    printf '<testsuite><testcase name="%s">%s</testcase></testsuite>\n' "$1" "$inside" >"$logs/$1.xml"
}

# ring_of_one NAME SECONDS command...: the same for a command that counts no tests: it is one itself.
ring_of_one() {
    ring "$@"
    if grep -qx "$1" "$logs/failed"; then one_test "$1" failed; else one_test "$1" passed; fi
}

# Those of the folders below tests/ that hold any test.
with_tests() {
    local folder
    for folder in "$@"; do
        if compgen -G "$root/tests/$folder/test_*.py" >/dev/null; then echo "$root/tests/$folder"; fi
    done
}

# What measures neither time nor memory runs beside the rest, on what the rest leaves of the machine; the last of it can
# use all cores when the rest is over.
beside() {
    if wants lab && [ -n "$(with_tests lab)" ]; then
        step "Tests of training and export (pytest, environment 'lab')"
        if "$root/scripts/env.sh" lab >"$logs/environment.txt" 2>&1; then
            ring lab 900 "$lab" -m pytest "${slowest[@]}" --junit-xml="$logs/lab.xml" $(with_tests lab)
        else
            # PyTorch may not be had for every Python; the rest stands without it, and says that it does.
            tail -n 5 "$logs/environment.txt"
            note "there is no environment 'lab': its tests are left out"
            one_test lab skipped
        fi
    fi
    if wants form; then
        step "Form: ruff, clang-format"
        ring_of_one form 120 "$root/scripts/form.sh" check
    fi
    if wants asan; then
        step "Tests of the core under the address and undefined-behaviour sanitizers (ctest)"
        ring asan 1500 bash -c "'$root/scripts/build.sh' asan &&
            ctest --test-dir '$build/asan' --output-on-failure --output-junit '$logs/asan.xml' --parallel $(nproc) \\
                --exclude-regex 'guidance_draws'" # minutes of numbers, through code that core.guidance runs too
    fi
}
note "meanwhile: the rings lab, form and asan, shown when the others are through (${logs#"$root"/})"
set -m # a group of its own, which can be ended as one
beside >"$logs/beside.txt" 2>&1 &
lane=$!
set +m
renice -n 10 -g "$lane" >/dev/null 2>&1 || true # refused where we are nicer already
trap 'kill -- -"$lane" 2>/dev/null || true' EXIT

if wants core; then
    step "Tests of the core (ctest)"
    ring core 600 ctest --test-dir "$build/cmake" --output-on-failure --output-junit "$logs/core.xml" \
        --parallel "$(nproc)"
fi
if wants install; then
    step "A project that uses the installed library (find_package, pkg-config)"
    ring_of_one install 120 "$root/scripts/check_install.sh"
fi
if wants python; then
    step "Tests of the flowgraphs, the blocks and the Python package (pytest, environment 'radio')"
    # In this order: what measures time longest is over before the sanitizers' tests run.
    ring radio 1500 "$radio" -m pytest "${slowest[@]}" -o cache_dir="$build/pytest" --junit-xml="$logs/radio.xml" \
        $(with_tests flowgraphs blocks python)
fi
tail -n +1 -f --pid="$lane" "$logs/beside.txt"
wait "$lane" || echo beside >>"$logs/failed"
trap - EXIT
if grep -qsx radio "$logs/failed"; then
    step "What measures time and failed beside other work: once more, with nothing beside it"
    ring again 600 "$radio" -m pytest -m timing --last-failed -o cache_dir="$build/pytest" --junit-xml="$logs/again.xml" \
        $(with_tests flowgraphs blocks python)
fi

step "Summary"
exec "$radio" "$root/scripts/tally.py" "$logs" ${rings/python/radio}
