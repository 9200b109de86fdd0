#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# ONNX's own tests of operators through onnx_inference. Their data come in the wheel `onnx`, of which nothing else is used.

. "$(dirname "$0")/common.sh"

version=1.17.0
python=$build/env/radio/bin/python
data=$build/env/onnx-$version
if ! [ -f "$data/.made" ]; then
    step "Fetching the tests of onnx $version"
    # For the Python that it was made for: nothing of it is imported.
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$data" \
        --only-binary=:all: --python-version 3.11 "onnx==$version" ||
        die "the wheel onnx $version was not found" "remedy: give pip an index that has it (PIP_INDEX_URL)"
    touch "$data/.made"
fi
cd "$root"
export ORT_DISABLE_TELEMETRY=1
exec "$python" tests/onnx_suite/suite.py "$data/onnx/backend/test/data/node" "$@"
