#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Fuzzes each target of tests/fuzz with libFuzzer: RUNS inputs (default a million), nothing over 1 s or 256 MB.
# TARGETS chooses (default: all). What is found on the way stays in build/fuzz/corpus, a failing input in build/fuzz.

. "$(dirname "$0")/common.sh"

if ! command -v clang++ >/dev/null; then
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null ||
        die "libFuzzer needs clang, which is not installed" "remedy: apt install clang"
    step "Installing clang"
    DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends clang >"$build/fuzz-clang.log" 2>&1 ||
        die "clang could not be installed (see $build/fuzz-clang.log)"
fi
targets=${TARGETS:-json manifest npy onnx sidecar spec}
# shellcheck disable=SC2086  # words on purpose
"$root/scripts/build.sh" fuzz --target $(printf 'fuzz_%s ' $targets)

failed=0
for target in $targets; do
    seeds=("$root/tests/fuzz/corpus/$target")
    if [ "$target" = onnx ]; then seeds=("$root/tests/data/priors" "$root/tests/data/foreign" "$root/tests/data/streams"); fi
    found=$build/fuzz/corpus/$target
    mkdir -p "$found"
    step "$target"
    (cd "$build/fuzz" && ASAN_OPTIONS=quarantine_size_mb=16 "tests/fuzz/fuzz_$target" -runs="${RUNS:-1000000}" \
        -seed="${SEED:-1}" -rss_limit_mb=256 -timeout=1 -max_len=16384 -artifact_prefix="$target-" -print_final_stats=1 \
        "$found" "${seeds[@]}" 2>&1 | tail -n 12) || failed=1
done
exit $failed
