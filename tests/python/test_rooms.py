# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way the arrows point: imports of the Python rooms (contracts in pyproject.toml), includes of the core (a table
in docs/architecture.md). Each check is shown to fail where it should."""

import functools
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADERS, CORE = ROOT / "include/gnuradio/diffsem", ROOT / "lib"
GIVEN = "gnuradio/diffsem/"  # how a public header is included

# --- Python -------------------------------------------------------------------------------------------------


def lint(folder):
    """(whether all contracts are kept, what import-linter says) of folder/pyproject.toml on folder/python."""
    pytest.importorskip("importlinter", reason="import-linter is not installed: it wants Python 3.11")
    words = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()"]
    done = subprocess.run(
        [*words, "../pyproject.toml", "--no-cache"],
        cwd=folder / "python",
        env={"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert "Contracts: " in said, said
    return done.returncode == 0 and " 0 broken." in said, said


def test_every_room_of_the_python_package_keeps_the_order():
    kept, said = lint(ROOT)
    assert kept, said


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the Python sources, into which a test writes one import more."""
    folder = tmp_path_factory.mktemp("rooms")
    shutil.copytree(ROOT / "python", folder / "python", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("gr_diffsem/base/errors.py", "from ..eval import scores", "each room knows only those below it"),
        ("gr_diffsem/codec/frames.py", "def late():\n    from ..air import symbol_channel", "each room knows only"),
        ("gr_diffsem/receivers/wifi/wifi_phy.py", "from ...models import mlp", "each room knows only"),
        ("diffsem/publish_stats.py", "from gr_diffsem.apps import top", "the blocks use base, phy and codec"),
        ("gr_diffsem/radiomap/sites.py", "from ..models import classical", "each room knows only"),
        ("gr_diffsem/package/info.py", "def late():\n    import gnuradio.blocks", "only eval and apps use GNU Radio"),
        ("gr_diffsem/apps/top.py", "from ..reference import plans", "the twin is an oracle"),
        ("gr_diffsem/base/signal.py", "from . import philox, picture_bands\n", None),
        ("gr_diffsem/package/package_writer.py", "from . import export", "no circles"),
    ],
)
def test_an_import_more_is_seen(copy, file, line, contract):
    path = copy / "python" / file
    before = path.read_text()
    try:
        path.write_text(f"{before}\n\n{line}\n")
        kept, said = lint(copy)
    finally:
        path.write_text(before)
    if contract is None:
        assert kept, said
    else:
        assert not kept and re.search(rf"{re.escape(contract)}.* BROKEN", said), said


# --- the core -----------------------------------------------------------------------------------------------


@functools.cache
def table():
    """{room: rooms it may include} from the block below `Rooms of the core` in docs/architecture.md."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    block = re.search(r"^#+ Rooms of the core$.*?^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert block, "docs/architecture.md has no block below the heading `Rooms of the core`"
    return {room: set(rooms.split()) for room, rooms in re.findall(r"^(\w+):(.*)$", block[1], re.MULTILINE)}


def sources(*folders):
    """{path as it is included: text} of the files of the core: `core/ROOM/x.h`, and `core/ROOM/x.cc`."""
    found = {}
    for folder in folders:
        for path in sorted((folder / "core").rglob("*")):
            if path.suffix in (".h", ".cc"):
                name = path.relative_to(folder).as_posix()
                found[f"{GIVEN}{name}" if folder == HEADERS else name] = path.read_text(encoding="utf-8")
    return found


def includes(text):
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, re.MULTILINE)


def resolved(name, included, files):
    """The file of the core that an include in `name` means (public, `ROOM/x.h`, or a header beside it), or None."""
    for path in (included, f"core/{included}", f"{name.rsplit('/', 1)[0]}/{included}"):
        if path in files:
            return path
    return None


def room(name):
    return name.removeprefix(GIVEN).split("/")[1]


def forbidden(files, allowed):
    """Sentences about includes that the table does not allow, or that leave the core."""
    found = []
    for name, text in files.items():
        for included in includes(text):
            to = resolved(name, included, files)
            if to is None:
                if included.startswith("gnuradio/") or "_impl" in included or (CORE / included).is_file():
                    found.append(f"{name} includes {included}, which is no header of the core")
            elif room(to) != room(name) and room(to) not in allowed[room(name)]:
                found.append(f"{name} includes {to}: {room(name)} may include {sorted(allowed[room(name)])}")
    return found


def circle(arrows):
    """Names along a circle of {name: names it points to}, or []."""
    left = {name: set(to) & set(arrows) for name, to in arrows.items()}
    while ends := [name for name, to in left.items() if not to]:
        left = {name: to - set(ends) for name, to in left.items() if to}
    return sorted(left)


def test_each_room_of_the_core_stands_in_the_table():
    rooms = {room(name) for name in sources(HEADERS, CORE)}
    assert rooms == set(table())
    assert all(to <= rooms for to in table().values())
    assert circle(table()) == []


def test_the_core_includes_what_its_table_allows():
    assert forbidden(sources(HEADERS, CORE), table()) == []


def test_no_headers_include_each_other_in_a_circle():
    files = sources(HEADERS, CORE)
    arrows = {name: {resolved(name, i, files) for i in includes(text)} for name, text in files.items()}
    assert sum(map(len, arrows.values())) > 100
    assert circle(arrows) == []


def test_includes_that_are_forbidden_are_seen():
    files = {
        "core/base/a.h": '#include "infer/b.h"\n',
        "core/infer/b.h": '#include <gnuradio/diffsem/core/base/c.h>\n#include <vector>\n#include "d.h"\n',
        "core/infer/d.h": "#include <gnuradio/sync_block.h>\n",
        "gnuradio/diffsem/core/base/c.h": "  # include <cmath>\n",
    }
    said = forbidden(files, {"base": set(), "infer": {"base"}})
    assert len(said) == 2 and said[0].startswith("core/base/a.h includes core/infer/b.h") and "sync_block.h" in said[1]
    assert len(forbidden({**files, "core/base/a.h": ""}, {"base": set(), "infer": set()})) == 2
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["a", "b", "c"] and circle({"a": {"b"}, "b": set()}) == []
