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
    bad=()
    "$bin/ruff" check --quiet . || bad+=("ruff check")
    "$bin/ruff" format --check --quiet . || bad+=("ruff format")
    # Each file's first complaint is enough: the remedy is the same for all.
    for file in "${cxx[@]}"; do
        "$bin/clang-format" --dry-run -Werror --ferror-limit=1 "$file" || bad+=("$file")
    done
    [ ${#bad[@]} -eq 0 ] || die "not in form: ${bad[*]}" "remedy: make format (what it leaves must be mended by hand)"
    echo "form: ruff, and clang-format of ${#cxx[@]} files, have nothing to say"
    ;;
fix)
    "$bin/ruff" check --fix .
    "$bin/ruff" format .
    "$bin/clang-format" -i "${cxx[@]}"
    ;;
*) die "usage: form.sh check|fix" ;;
esac
