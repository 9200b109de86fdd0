#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The import of saved pipelines against diffusers itself, in an environment of its own: `lab` with diffusers and
# transformers (the text encoder of --prompt) beside it (300 MB). Further words go to pytest.

. "$(dirname "$0")/common.sh"

"$root/scripts/env.sh" lab
lab=$build/env/lab/bin/python
venv=$build/env/import
wanted=$("$lab" -c 'from gr_diffsem.models.diffusers_nets import DIFFUSERS; print(DIFFUSERS)')
stamp=$venv/.made-from
print=$(fingerprint "$wanted transformers" "$("$lab" -VV)" "$(cat "$build/env/lab/.made-from")")
if ! is_done "$stamp" "$print"; then
    step "Python environment 'import' in ${venv#"$root"/}: lab, $wanted and transformers"
    rm -rf "$venv"
    "$lab" -m venv "$venv" || die "no virtual environment" "remedy: apt install python3-venv"
    # What lab has is seen from here, and not installed twice.
    site='import sysconfig; print(sysconfig.get_path("purelib"))'
    "$lab" -c "$site" >"$("$venv/bin/python" -c "$site")/lab.pth"
    "$venv/bin/python" -m pip install --disable-pip-version-check --quiet "$wanted" safetensors transformers
    mark_done "$stamp" "$print"
fi
export ORT_DISABLE_TELEMETRY=1 HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1
exec "$venv/bin/python" -m pytest -q "$root/tests/lab/test_import.py" "$@"
