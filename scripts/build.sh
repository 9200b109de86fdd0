#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds: build.sh radio   the module, installed into build/env/radio
#         build.sh asan    the core and its tests under the address and undefined-behaviour sanitizers
#         build.sh tsan    the same under the thread sanitizer
#         build.sh asan-blocks  the whole module under the sanitizers of `asan`, installed into build/asan-blocks/prefix
#         build.sh fuzz    the fuzz targets with libFuzzer (clang)
#         build.sh system PREFIX  the module and the command, installed under PREFIX for the system's Python
# Further words go to `cmake --build`. CMAKE_OPTIONS holds more options for configuring.

. "$(dirname "$0")/common.sh"

kind=${1:-radio}
shift || true
venv=$build/env/radio
python=$venv/bin/python
# shellcheck disable=SC2206  # words on purpose
options=(${CMAKE_OPTIONS:-} -DDIFFSEM_WERROR="${WERROR:-AUTO}" -DDIFFSEM_VENV="$venv")
case $kind in
radio)
    tree=$build/cmake
    [ -x "$python" ] || die "there is no environment 'radio'" "remedy: make env"
    options+=(-DCMAKE_INSTALL_PREFIX="$venv" -DDIFFSEM_TOOLS=OFF -DCMAKE_BUILD_TYPE=Release
        -DGR_PYTHON_DIR="$(site_packages "$python")"
        -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)")
    ;;
asan)
    tree=$build/asan
    options+=(-DDIFFSEM_CORE_ONLY=ON -DDIFFSEM_SANITIZE=ON
        -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1")
    ;;
tsan)
    tree=$build/tsan
    options+=(-DDIFFSEM_CORE_ONLY=ON -DCMAKE_BUILD_TYPE=Debug
        "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1 -fsanitize=thread" -DCMAKE_EXE_LINKER_FLAGS=-fsanitize=thread)
    ;;
asan-blocks)
    tree=$build/asan-blocks
    [ -x "$python" ] || die "there is no environment 'radio'" "remedy: make env"
    # Reports go on after undefined behaviour, so that one run shows all of it. The checks left out cost most to compile.
    options+=(-DCMAKE_INSTALL_PREFIX="$tree/prefix" -DDIFFSEM_TOOLS=OFF -DDIFFSEM_TESTS=OFF -DCMAKE_BUILD_TYPE=Debug
        "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize=null,object-size,vptr"
        -DGR_PYTHON_DIR="$(site_packages "$python")"
        -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)")
    ;;
fuzz)
    tree=$build/fuzz
    options+=(-DDIFFSEM_CORE_ONLY=ON -DDIFFSEM_SANITIZE=ON -DDIFFSEM_LIBFUZZER=ON -DCMAKE_CXX_COMPILER=clang++
        -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1 -fsanitize=fuzzer-no-link")
    ;;
system)
    tree=$build/system
    prefix=${1:?the prefix to install to}
    shift
    options+=(-DCMAKE_INSTALL_PREFIX="$prefix" -DDIFFSEM_TESTS=OFF -DCMAKE_BUILD_TYPE=Release)
    ;;
*) die "usage: build.sh radio|asan|asan-blocks|tsan|fuzz|system PREFIX" ;;
esac
if command -v ninja >/dev/null; then
    options+=(-G Ninja)
fi

# Two builds in one tree would ruin each other.
mkdir -p "$tree"
exec 9>"$tree/.lock"
if ! flock -n 9; then
    note "another build is running in ${tree#"$root"/}; waiting for it"
    flock 9
fi

# A new ONNX Runtime wheel is a new default library, so the environment counts too.
print=$(fingerprint "${options[@]}" "$venv/.made-from")
if ! is_done "$tree/.configured-with" "$print" || [ ! -f "$tree/CMakeCache.txt" ]; then
    step "Configuring ${tree#"$root"/}"
    # A changed option must not meet an old cache.
    rm -rf "$tree/CMakeCache.txt" "$tree/CMakeFiles" "$tree/.configured-with"
    # -Wno-dev: newer CMakes warn of GNU Radio's own files.
    cmake -Wno-dev -S "$root" -B "$tree" "${options[@]}"
    mark_done "$tree/.configured-with" "$print"
fi

step "Building ${tree#"$root"/} (${kind})"
cmake --build "$tree" --parallel "${JOBS:-$(nproc)}" "$@"

install_quietly() {
    "$@" cmake --install "$tree" >"$tree/install.log" || die "installing failed, see $tree/install.log"
    note "installed: $(grep -c '^-- Installing: ' "$tree/install.log" || true) files that were new or changed"
}
case $kind in
radio | asan-blocks) [ $# -gt 0 ] || install_quietly ;;
system)
    if mkdir -p "$prefix" 2>/dev/null && [ -w "$prefix" ]; then
        install_quietly
        [ "$(id -u)" -ne 0 ] || ldconfig
    else
        note "$prefix is not ours to write: sudo"
        install_quietly sudo
        sudo ldconfig
    fi
    ;;
esac
