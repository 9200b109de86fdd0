#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Fuzzes each target of tests/fuzz with libFuzzer: RUNS inputs (default a million), nothing over 1 s or 256 MB.
# Three more: `mutants`, models through ONNX Runtime in processes of their own (RUNS / 100 of them), `python`, the readers
# in Python (RUNS / 100 inputs for each), and `messages`, to each block that reads messages or tags (RUNS / 100).
# SECONDS_EACH replaces the second, which is of the clock, on a machine that does other things too.
# TARGETS chooses (default: all). What is found on the way stays in build/fuzz/corpus, a failing input in build/fuzz.

. "$(dirname "$0")/common.sh"

# clang comes without libFuzzer where recommended packages are not installed.
if ! echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' |
    clang++ -x c++ -fsanitize=fuzzer,address -o /dev/null - 2>/dev/null; then
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null ||
        die "clang with libFuzzer is not installed" "remedy: apt install clang libclang-rt-dev"
    step "Installing clang"
    DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends clang libclang-rt-dev \
        >"$build/fuzz-clang.log" 2>&1 || die "clang could not be installed (see $build/fuzz-clang.log)"
fi
targets=${TARGETS:-header json manifest npy onnx picture roles sidecar spec mutants python messages}
programs=()
for target in $targets; do
    case $target in
    mutants) programs+=(mutants) ;;
    python | messages) ;;
    *) programs+=("fuzz_$target") ;;
    esac
done
[ ${#programs[@]} -eq 0 ] || "$root/scripts/build.sh" fuzz --target "${programs[@]}"

runs=${RUNS:-1000000}
corpus=$root/tests/fuzz/corpus
models=("$root/tests/data/priors" "$root/tests/data/foreign" "$root/tests/data/streams" "$corpus/mutants")
export ORT_DISABLE_TELEMETRY=1 ASAN_OPTIONS=quarantine_size_mb=16
failed=0
for target in $targets; do
    step "$target"
    case $target in
    mutants)
        (cd "$build/fuzz" && tests/fuzz/mutants -runs=$((runs / 100)) -seed="${SEED:-1}" "${models[@]}" "$root/models") ||
            failed=1
        continue
        ;;
    python)
        DIFFSEM_FUZZ_RUNS=$((runs / 100)) "$build/env/radio/bin/python" -m pytest -q -o timeout=0 -o faulthandler_timeout=0 \
            "$root/tests/python/test_hostile_files.py" || failed=1
        continue
        ;;
    messages)
        DIFFSEM_FUZZ_MESSAGES=$((runs / 100)) DIFFSEM_FUZZ_SEED=${SEED:-1} "$build/env/radio/bin/python" -m pytest -q -o timeout=0 \
            -o faulthandler_timeout=0 "$root/tests/blocks/test_hostile_random.py" || failed=1
        continue
        ;;
    esac
    seeds=("$corpus/$target")
    if [ "$target" = onnx ]; then seeds=("${models[@]}"); fi
    longest=16384
    if [ "$target" = header ]; then longest=800; fi # four headers: each is a Viterbi decoder's work
    found=$build/fuzz/corpus/$target
    mkdir -p "$found"
    (cd "$build/fuzz" && "tests/fuzz/fuzz_$target" -runs="$runs" \
        -seed="${SEED:-1}" -rss_limit_mb=256 -timeout="${SECONDS_EACH:-1}" -max_len=$longest -artifact_prefix="$target-" -print_final_stats=1 \
        "$found" "${seeds[@]}" 2>&1 | tail -n 12) || failed=1
done
exit $failed
