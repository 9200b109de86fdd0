#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Puts ONNX Runtime's four C/C++ headers into build/deps/onnxruntime/include, unless the system has them.
#
# The library itself is opened at run time and comes with the Python wheel, but the wheel holds no
# headers and Debian 12 packages none. Any release from 1.21 on will do: we ask for API version 21.

. "$(dirname "$0")/common.sh"

target=$build/deps/onnxruntime/include
files=(onnxruntime_c_api.h onnxruntime_cxx_api.h onnxruntime_cxx_inline.h onnxruntime_float16.h)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
upstream=https://raw.githubusercontent.com/microsoft/onnxruntime/v1.21.0/include/onnxruntime/core/session

if [ -f "$target/${files[1]}" ] || [ -n "${ONNXRUNTIME_ROOT:-}" ] ||
    [ -f /usr/include/onnxruntime/${files[1]} ] ||
    pkg-config --atleast-version=1.21 libonnxruntime 2>/dev/null; then
    exit 0
fi

step "ONNX Runtime headers (four files, needed to compile)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# From the .deb in $work, without installing it.
unpack() {
    dpkg-deb -x "$work"/libonnxruntime-dev_*.deb "$work/deb" && copy "$work/deb/usr/include/onnxruntime"
}
copy() {
    local file
    for file in "${files[@]}"; do [ -s "$1/$file" ] || return 1; done
    mkdir -p "$target"
    for file in "${files[@]}"; do cp "$1/$file" "$target/"; done
}

from_configured_apt() {
    command -v apt-get >/dev/null || return 1
    apt-cache show libonnxruntime-dev 2>/dev/null | grep -q '^Version:' || return 1
    (cd "$work" && apt-get -q -o APT::Sandbox::User=root download libonnxruntime-dev) && unpack
}

# With lists and a cache of our own, so that the system's apt never hears of Debian 13.
from_debian_13() {
    command -v apt-get >/dev/null && [ -f "$keyring" ] || return 1
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    printf 'deb [signed-by=%s] %s trixie main\n' "$keyring" "$mirror" >"$work/sources.list"
    local options=(-q -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=-
        -o Dir::Etc::Preferences=- -o Dir::Etc::PreferencesParts=-
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache"
        -o APT::Sandbox::User=root -o Acquire::Languages=none)
    apt-get "${options[@]}" update && (cd "$work" && apt-get "${options[@]}" download libonnxruntime-dev) && unpack
}

from_upstream() {
    mkdir -p "$work/upstream"
    local file
    for file in "${files[@]}"; do # a bare Ubuntu has no curl
        timeout 60 python3 -c 'import sys, urllib.request; urllib.request.urlretrieve(*sys.argv[1:])' \
            "$upstream/$file" "$work/upstream/$file" || return 1
    done
    copy "$work/upstream"
}

for source in from_configured_apt from_debian_13 from_upstream; do
    note "trying ${source//_/ }"
    if $source >"$work/log" 2>&1; then
        note "found: $(grep -h -m1 -o 'ORT_API_VERSION [0-9]*' "$target/${files[0]}") in ${target#"$root"/}"
        exit 0
    fi
    { grep -E '^(E:|W:|Err|urllib)' "$work/log" || true; } | head -3 | sed 's/^/      /'
done
die "the headers of ONNX Runtime (1.21 or later) could not be had" \
    "searched: \$ONNXRUNTIME_ROOT, /usr/include/onnxruntime, pkg-config libonnxruntime, apt's own sources," \
    "          Debian 13 at $mirror, $upstream" \
    "remedy:   unpack a release from https://github.com/microsoft/onnxruntime/releases somewhere," \
    "          then ONNXRUNTIME_ROOT=<that folder> make ..."
