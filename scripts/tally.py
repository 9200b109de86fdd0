# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds up the closing lines of ctest and pytest: tally.py LOG_FOLDER [FAILED_RING ...]."""

import re
import sys
from pathlib import Path

AGAIN = "of them at the second try, alone"


def ctest_counts(text):
    """Counts from ctest's `NN% tests passed, F tests failed out of N`, or None."""
    found = re.search(r"% tests passed, (\d+) tests failed out of (\d+)", text)
    if not found:
        return None
    failed, total = map(int, found.groups())
    skipped = len(re.findall(r"\*\*\*Skipped", text))
    return {"passed": total - failed - skipped, "failed": failed, "skipped": skipped}


def pytest_counts(text):
    """Counts from pytest's last line, e.g. `1 failed, 3 passed, 1 skipped in 0.12s`, or None."""
    closing = [
        line for line in text.splitlines() if re.search(r"\b(passed|failed|errors?|skipped)\b.* in [\d.]+s", line)
    ]
    if not closing:
        return None
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", closing[-1])}
    return {
        "passed": counts.get("passed", 0) + counts.get("xfailed", 0),
        "failed": sum(counts.get(word, 0) for word in ("failed", "error", "errors", "xpassed")),
        "skipped": counts.get("skipped", 0),
    }


def names(text):
    """The lines with which ctest and pytest name what failed: the end of a log may be all one has."""
    pytest = r"^(?:FAILED|ERROR) \S*tests/.*"
    ctest = r"^\s+\d+ - \S+ \((?:Failed|Timeout|SEGFAULT|Subprocess aborted|ILLEGAL|Not Run).*"
    return [line.strip() for line in re.findall(f"{pytest}|{ctest}", text, re.MULTILINE)]


def sentence(counts):
    return ", ".join(f"{n} {word}" for word, n in counts.items() if n or word != AGAIN)


def after_second_try(counts, log):
    """The counts of a ring some of whose tests were run again, alone: what passed then is counted as that."""
    mended = (pytest_counts(log.read_text(errors="replace")) or {"passed": 0})["passed"]
    return {**counts, "passed": counts["passed"] + mended, "failed": counts["failed"] - mended, AGAIN: mended}


def main():
    logs, failed_rings = Path(sys.argv[1]), set(sys.argv[2:]) - {"again"}
    total = {"passed": 0, "failed": 0, "skipped": 0, AGAIN: 0}
    for log in sorted(set(logs.glob("*.log")) - {logs / "again.log"}):
        text = log.read_text(errors="replace")
        counts = ctest_counts(text) or pytest_counts(text)
        if counts and counts["failed"] and log.stem == "radio" and (logs / "again.log").exists():
            counts = after_second_try(counts, logs / "again.log")
            if not counts["failed"]:
                failed_rings.discard(log.stem)
        verdict = "FAILED" if log.stem in failed_rings else "ok"
        if counts is None:
            print(f"    {log.stem:8} {verdict}")
            # A ring without a count (form, install), or one that ended before it could count, is one test.
            counts = {"passed": verdict == "ok", "failed": verdict != "ok", "skipped": 0}
        else:
            if verdict != "ok" and counts["failed"] == 0:
                counts["failed"] = 1
            print(f"    {log.stem:8} {verdict:7}" + sentence(counts))
        for line in names(text):
            print(f"        {line}")
        for word in counts:
            total[word] += counts[word]
    print(sentence(total))
    return 1 if failed_rings or total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
