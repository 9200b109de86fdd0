#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs every ring of tests and the checks of form, then adds up. Goes on after a failure, and ends with it.
# RINGS chooses, e.g. RINGS="core python" (default: all).

. "$(dirname "$0")/common.sh"

rings=${RINGS:-core asan install python lab form}
radio=$build/env/radio/bin/python
lab=$build/env/lab/bin/python
logs=$build/test-logs
mkdir -p "$logs"
rm -f "$logs"/*.log
failed_rings=()
export ORT_DISABLE_TELEMETRY=1 QT_QPA_PLATFORM=offscreen MPLBACKEND=Agg
export GRC_BLOCKS_PATH=$build/env/radio/share/gnuradio/grc/blocks
export DIFFSEM_DATA=${DIFFSEM_DATA:-$(dirname "$root")/shared/data}

wants() { [[ " $rings " == *" $1 "* ]]; }

# ring NAME SECONDS command...: its output is shown and kept; a ring that hangs is killed.
ring() {
    local name=$1 seconds=$2 status=0
    shift 2
    timeout --kill-after=10 "$seconds" "$@" 2>&1 | tee "$logs/$name.log" || status=${PIPESTATUS[0]}
    if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
        printf 'ring %s was stopped after %s s\n' "$name" "$seconds"
    fi
    [ "$status" -eq 0 ] || failed_rings+=("$name")
}

# Those of the folders below tests/ that hold any test.
with_tests() {
    local folder
    for folder in "$@"; do
        if compgen -G "$root/tests/$folder/test_*.py" >/dev/null; then echo "$root/tests/$folder"; fi
    done
}

# The environment of the ring `lab` is made while the first rings run.
lab_made=
if wants lab && [ -n "$(with_tests lab)" ]; then
    note "meanwhile: environment 'lab' (${logs#"$root"/}/environment.txt)"
    "$root/scripts/env.sh" lab >"$logs/environment.txt" 2>&1 &
    lab_made=$!
fi

if wants core; then
    step "Tests of the core (ctest)"
    ring core 600 ctest --test-dir "$build/cmake" --output-on-failure --parallel "$(nproc)"
fi
if wants asan; then
    step "Tests of the core under the address and undefined-behaviour sanitizers (ctest)"
    ring asan 900 ctest --test-dir "$build/asan" --output-on-failure --parallel "$(nproc)"
fi
if wants install; then
    step "A project that uses the installed library (find_package, pkg-config)"
    ring install 120 "$root/scripts/check_install.sh"
fi
if wants python; then
    step "Tests of the Python package, the blocks and the flowgraphs (pytest, environment 'radio')"
    ring radio 1500 "$radio" -m pytest --durations=15 --durations-min=2 $(with_tests python blocks flowgraphs)
fi
if [ -n "$lab_made" ]; then
    step "Tests of training and export (pytest, environment 'lab')"
    if wait "$lab_made"; then
        ring lab 900 "$lab" -m pytest --durations=15 --durations-min=2 $(with_tests lab)
    else
        # PyTorch may not be had for every Python; the rest stands without it, and says that it does.
        tail -n 5 "$logs/environment.txt"
        note "there is no environment 'lab': its tests are left out"
        echo "1 skipped in 0s" >"$logs/lab.log"
    fi
fi
if wants form; then
    step "Form: ruff, clang-format"
    ring form 120 "$root/scripts/form.sh" check
fi

step "Summary"
exec "$radio" "$root/scripts/tally.py" "$logs" "${failed_rings[@]}"
