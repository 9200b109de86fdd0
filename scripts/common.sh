# SPDX-License-Identifier: GPL-3.0-or-later
# Sourced by the set-up scripts: where things are, and how we speak.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BUILD_DIR:-$root/build}

if [ -t 1 ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
else
    bold='' plain=''
fi

step() { printf '%s==> %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '    %s\n' "$*"; }
die() {
    printf 'error: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 1
}

# One word that changes when any of the given files or words does.
fingerprint() {
    local item
    for item in "$@"; do
        if [ -f "$item" ]; then cat "$item"; else printf '%s\n' "$item"; fi
    done | sha256sum | cut -c1-16
}

# Work is skipped when its stamp holds the fingerprint of what went in.
is_done() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }
mark_done() { mkdir -p "$(dirname "$1")" && printf '%s\n' "$2" >"$1"; }

# The interpreter that GNU Radio was built for. A bare `python3` may well be another one
# (pyenv, conda): its `import gnuradio` fails, or its extension modules do not fit.
find_radio_python() {
    local candidate prefix
    prefix=$(gnuradio-config-info --prefix 2>/dev/null || echo /usr)
    for candidate in "${RADIO_PYTHON:-}" "$prefix/bin/python3" /usr/bin/python3 python3; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import gnuradio.gr' >/dev/null 2>&1; then
            realpath -s "$(command -v "$candidate")"
            return 0
        fi
    done
    return 1
}

# Where an interpreter looks for compiled modules, below its prefix.
site_packages() {
    "$1" -c 'import os, sys, sysconfig
print(os.path.relpath(sysconfig.get_path("platlib"), sys.prefix))'
}
