#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Writes build/bin/gr-diffsem, which works without activating anything, and build/setup_env.sh.

. "$(dirname "$0")/common.sh"

venv=$build/env/radio
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
# Without -P a file in the current folder, say types.py, would be taken for Python's own.
safe=$("$venv/bin/python" -c 'import sys; print("-P" if sys.version_info >= (3, 11) else "")')

mkdir -p "$build/bin"
cat >"$build/bin/gr-diffsem" <<END
#!/bin/sh
# Written by scripts/launcher.sh: gr-diffsem of this checkout, in its own Python environment.
export ORT_DISABLE_TELEMETRY=1
exec '$venv/bin/python' $safe -m gr_diffsem "\$@"
END
chmod +x "$build/bin/gr-diffsem"

cat >"$build/setup_env.sh" <<END
# Written by scripts/launcher.sh: source it to use this checkout's blocks from GNU Radio's own programs.
export PATH='$build/bin':"\$PATH"
export PYTHONPATH='$site'\${PYTHONPATH:+:\$PYTHONPATH}
export GRC_BLOCKS_PATH='$venv/share/gnuradio/grc/blocks'\${GRC_BLOCKS_PATH:+:\$GRC_BLOCKS_PATH}
export ORT_DISABLE_TELEMETRY=1
END
