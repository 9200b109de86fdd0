#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Checks an installation from outside: check_install.sh PREFIX. find_package, pkg-config, a program that links.

. "$(dirname "$0")/common.sh"

prefix=${1:-$build/env/radio}
tree=$build/consumer
rm -rf "$tree"
cmake -S "$root/tests/consumer" -B "$tree" -DCMAKE_PREFIX_PATH="$prefix" >"$build/consumer.log" 2>&1 &&
    cmake --build "$tree" >>"$build/consumer.log" 2>&1 || {
    cat "$build/consumer.log"
    die "a project that uses find_package(gnuradio-diffsem) does not build against $prefix"
}
"$tree/consumer"
pc=$(find "$prefix" -name gnuradio-diffsem.pc | head -1)
[ -n "$pc" ] || die "no gnuradio-diffsem.pc under $prefix"
PKG_CONFIG_PATH=$(dirname "$pc") pkg-config --cflags --libs gnuradio-diffsem
