#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Installs the system packages that are missing (Debian, Ubuntu). Says which, and what for.

. "$(dirname "$0")/common.sh"

wanted='
ca-certificates  to download over https
debian-archive-keyring  to take the headers of ONNX Runtime from Debian, on Ubuntu too
g++              the compiler
cmake            the build system
ninja-build      the build system
pkg-config       to find libraries
gnuradio         GNU Radio itself
gnuradio-dev     its headers
libeigen3-dev    linear algebra
libsoapysdr-dev  the simulated radio of the tests
uhd-soapysdr     which UHD opens too
python3-venv     the Python environments
python3-scipy    evaluation
python3-matplotlib  pictures
python3-zmq      links between flowgraphs
'

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || {
    note "no apt here: taking it that GNU Radio 3.10 (with headers), Eigen, CMake and a C++17 compiler are installed"
    exit 0
}

missing=()
while read -r package why; do
    [ -n "$package" ] || continue
    if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
        [ ${#missing[@]} -gt 0 ] || step "System packages that are missing"
        note "$(printf '%-20s %s' "$package" "$why")"
        missing+=("$package")
    fi
done <<<"$wanted"
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=()
elif command -v sudo >/dev/null; then
    as_root=(sudo)
    note "apt needs sudo:"
else
    die "system packages are missing, and this is neither root nor a user with sudo" \
        "remedy: as root, apt install ${missing[*]}"
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"; }

# apt says a thousand lines for some 500 packages: they go to a file, and every tenth of the way is told here.
mkdir -p "$build"
log=$build/packages.log
# (In bash, because mawk, the awk of a bare Debian, keeps lines back until it has 4 kB of them.)
tell_progress() {
    local line now told=''
    while read -r line; do # pmstatus:PACKAGE[:ARCHITECTURE]:PER CENT:WORDS, or what apt says on stderr
        [[ $line =~ ^(dl|pm)status:.*:([0-9]+)\.[0-9]+: ]] || {
            printf '%s\n' "$line" >>"$log"
            continue
        }
        [ "${BASH_REMATCH[1]}" = dl ] && now=downloading || now=installing
        now="$now $((BASH_REMATCH[2] / 10 * 10)) %"
        [ "$now" = "$told" ] || note "$now"
        told=$now
    done
}
apt update >"$log" 2>&1 || note "apt update failed (${log#"$root"/}); trying with the package lists at hand"
# (The progress comes on stderr because sudo closes every descriptor above it.)
if ! { apt install -y --no-install-recommends -o APT::Status-Fd=2 "${missing[@]}" 2>&1 >>"$log" | tell_progress; }; then
    tail -n 20 "$log" >&2
    die "apt could not install them (the whole story: ${log#"$root"/})" \
        "remedy: apt install ${missing[*]}, then again"
fi
