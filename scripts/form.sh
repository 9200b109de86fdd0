#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The form of the sources: form.sh check | form.sh fix. The tools are pinned in requirements-radio.txt.

. "$(dirname "$0")/common.sh"

cd "$root"
bin=$build/env/radio/bin
mapfile -t cxx < <(git ls-files --cached --others --exclude-standard '*.cc' '*.h' 2>/dev/null ||
    find include lib python tests bench -name '*.cc' -o -name '*.h')
case ${1:-} in
check)
    "$bin/ruff" check .
    "$bin/ruff" format --check .
    "$bin/clang-format" --dry-run -Werror "${cxx[@]}"
    echo "clang-format: ${#cxx[@]} files are in form"
    ;;
fix)
    "$bin/ruff" check --fix .
    "$bin/ruff" format .
    "$bin/clang-format" -i "${cxx[@]}"
    ;;
*) die "usage: form.sh check|fix" ;;
esac
