# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds up what ctest and pytest wrote as JUnit XML: tally.py LOG_FOLDER RING...

Each RING has LOG_FOLDER/RING.xml, or has failed; LOG_FOLDER/failed names the rings that ended with a failure, and
LOG_FOLDER/again.xml has the tests of the ring `radio` that were run once more, alone.
"""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

AGAIN = "of them at the second try, alone"


def outcome(case):
    """passed, failed or skipped, of a <testcase>."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    skipped = case.find("skipped")
    if skipped is None or skipped.get("type") == "pytest.xfail":
        return "passed"
    # ctest writes <skipped> of a test whose program is missing, too.
    by_itself = case.get("status") != "notrun" or skipped.get("message", "").startswith("SKIP_")
    return "skipped" if by_itself else "failed"


def read(path):
    """{name of a test: (outcome, first line of what went wrong)}; empty where the file is missing or broken."""
    try:
        cases = ET.parse(path).getroot().iter("testcase")
    except (OSError, ET.ParseError):
        return {}
    found = {}
    for case in cases:
        words = [said.get("message", "") for tag in ("failure", "error", "skipped") for said in case.iter(tag)]
        name = "::".join(filter(None, (case.get("file"), case.get("name"))))
        if found.get(name, ("",))[0] != "failed":  # one that passed, and could not be cleaned up behind, is there twice
            found[name] = outcome(case), next(iter(" ".join(words).strip().splitlines()), "")
    return found


def sentence(counts):
    return ", ".join(f"{n} {word}" for word, n in counts.items() if n or word != AGAIN)


def main():
    logs, rings = Path(sys.argv[1]), sys.argv[2:]
    broken = set((logs / "failed").read_text().split())
    again = {name for name, (how, _) in read(logs / "again.xml").items() if how == "passed"}
    total = {"passed": 0, "failed": 0, "skipped": 0, AGAIN: 0}
    for ring in [*rings, *sorted(broken - {*rings, "again"})]:
        tests = read(logs / f"{ring}.xml")
        failed = {name: why for name, (how, why) in tests.items() if how == "failed"}
        mended = again & set(failed) if ring == "radio" else set()
        counts = dict.fromkeys(total, 0)
        for how, _ in tests.values():
            counts[how] += 1
        counts["passed"] += len(mended)
        counts["failed"] -= len(mended)
        counts[AGAIN] = len(mended)
        # A ring that ended with a failure, or has no results, has failed even where no test of it did.
        whole = bool(tests) and (ring not in broken or bool(mended))
        if not whole and not counts["failed"]:
            counts["failed"] = 1
        verdict = "FAILED" if counts["failed"] else "ok"
        print(f"    {ring:8} {verdict:7}" + (sentence(counts) if tests else "no results"))
        for name in sorted(failed):
            print(f"        FAILED {name}" + (f" - {failed[name][:200]}" if failed[name] else ""))
        for word, n in counts.items():
            total[word] += n
    print(sentence(total))
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
