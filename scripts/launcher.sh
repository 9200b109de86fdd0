#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Writes build/bin/gr-diffsem, which works without activating anything, and build/setup_env.sh.

. "$(dirname "$0")/common.sh"

venv=$build/env/radio
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
# Without -P a file in the current folder, say types.py, would be taken for Python's own.
safe=$("$venv/bin/python" -c 'import sys; print("-P" if sys.version_info >= (3, 11) else "")')

# A word as any shell reads it back: a folder may have an apostrophe in its name.
quoted() { printf "'%s'" "${1//\'/\'\\\'\'}"; }

mkdir -p "$build/bin"
cat >"$build/bin/gr-diffsem" <<END
#!/bin/sh
# Written by scripts/launcher.sh: gr-diffsem of this checkout, in its own Python environment.
export ORT_DISABLE_TELEMETRY=1
exec $(quoted "$venv/bin/python") $safe -m gr_diffsem "\$@"
END
chmod +x "$build/bin/gr-diffsem"

cat >"$build/setup_env.sh" <<END
# Written by scripts/launcher.sh: source it (sh, bash, zsh) to use this checkout's blocks from GNU Radio's own programs.
# Then python, python3 and pip are those of GNU Radio with these blocks. Sourcing it again changes nothing.

# FOLDER LIST: the list, separated by colons, with the folder first and nowhere else.
_diffsem_first() (
    rest=":\$2:"
    while case "\$rest" in *":\$1:"*) true ;; *) false ;; esac; do
        rest="\${rest%%":\$1:"*}:\${rest#*":\$1:"}"
    done
    rest="\${rest#:}"
    rest="\${rest%:}"
    printf '%s' "\$1\${rest:+:\$rest}"
)
PATH=\$(_diffsem_first $(quoted "$venv/bin") "\$PATH")
PATH=\$(_diffsem_first $(quoted "$build/bin") "\$PATH")
PYTHONPATH=\$(_diffsem_first $(quoted "$site") "\${PYTHONPATH:-}")
GRC_BLOCKS_PATH=\$(_diffsem_first $(quoted "$venv/share/gnuradio/grc/blocks") "\${GRC_BLOCKS_PATH:-}")
unset -f _diffsem_first
unset PYTHONHOME
ORT_DISABLE_TELEMETRY=1
export PATH PYTHONPATH GRC_BLOCKS_PATH ORT_DISABLE_TELEMETRY
END
