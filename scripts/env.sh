#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes one of the two Python environments: env.sh radio | env.sh lab
# Installed under <prefix>/share/gr-diffsem as well, where it makes `lab` for the installed command.
# They cannot be one: GNU Radio 3.10.5 does not import under NumPy 2, Sionna needs NumPy 2.2.

. "$(dirname "$0")/common.sh"

name=${1:-}
requirements=$root/scripts/requirements-$name.txt
[ -n "$name" ] && [ -f "$requirements" ] || die "usage: env.sh radio|lab"
venv=$build/env/$name
stamp=$venv/.made-from

# What is there already is not worth a line each.
pip_install() {
    "$venv/bin/python" -m pip install --disable-pip-version-check "$@" |
        { grep -v '^Requirement already satisfied' || true; }
}

# PyTorch's CPU build, unless TORCH_INDEX says otherwise: a URL (another index), a folder (of wheels),
# or `pypi` (whatever pip finds by itself: on Linux that is the CUDA build, several gigabytes).
install_torch() {
    local torch version index=${TORCH_INDEX:-}
    torch=$(grep '^torch==' "$requirements")
    version=${torch#torch==}
    if "$venv/bin/python" -c "import importlib.metadata as m, sys
sys.exit(m.version('torch').split('+')[0] != '$version')" 2>/dev/null; then
        return
    fi
    case $index in
    pypi) pip_install "$torch" ;;
    '')
        note "PyTorch: the CPU build (make lab TORCH_INDEX=pypi for CUDA)"
        # First pip's own sources (a local folder of wheels, a mirror), then PyTorch's.
        if ! pip_install "$torch+cpu" 2>/dev/null; then
            pip_install --extra-index-url https://download.pytorch.org/whl/cpu "$torch+cpu" ||
                die "no CPU build of $torch was found" \
                    "give pip one: make lab TORCH_INDEX=<index URL, or folder of wheels>" \
                    "or take the CUDA build (gigabytes): make lab TORCH_INDEX=pypi"
        fi
        ;;
    *://*) pip_install --extra-index-url "$index" "$torch" ;;
    *) pip_install --find-links "$index" "$torch" ;;
    esac
}

if [ "$name" = radio ]; then
    python=$(find_radio_python) || die "no Python interpreter imports gnuradio" \
        "tried: \$RADIO_PYTHON, GNU Radio's prefix, /usr/bin/python3, python3" \
        "remedy: apt install gnuradio, or set RADIO_PYTHON to the interpreter GNU Radio was built for"
    options=(--system-site-packages)
else
    python=${LAB_PYTHON:-$(find_radio_python || command -v python3)}
    options=()
fi

print=$(fingerprint "$requirements" "$(dirname "$0")/env.sh" "$("$python" -VV)" "$venv")
if is_done "$stamp" "$print"; then
    exit 0
fi

step "Python environment '$name' in ${venv#"$root"/} ($("$python" -V), $python)"
if [ "$name" = lab ]; then
    note "PyTorch, Sionna and ONNX tools: about 1.5 GB on disk, a few minutes"
fi
# A venv that was moved or made by another interpreter is made anew, one merely out of date is updated.
if ! "$venv/bin/python" -c "import sys; sys.exit(sys.prefix != '$venv')" 2>/dev/null; then
    rm -rf "$venv"
fi
"$python" -m venv "${options[@]}" "$venv" || die "no virtual environment" "remedy: apt install python3-venv"
if [ "$name" = lab ]; then
    install_torch
fi
pip_install -r "$requirements"

# Our own package is read where it is written. A link, not a .pth: a folder on the path would show more than it.
package=${DIFFSEM_PACKAGE:-$root/python/gr_diffsem}
ln -sfn "$package" "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/gr_diffsem"
mark_done "$stamp" "$print"
