# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets of recordings whose every symbol is known: from a truth file, or received by ourselves."""

import json
import os

from ...base import regular_file
from ...base.errors import UserError
from . import reference_channel, wifi_finder

#: Packets kept at most (20 kB each at 6 Mb/s and 138 octets, 0.9 MB at 4095).
MAX_PACKETS = 5000


def load_truth(path):
    """Truth file -> {file name: [entry]}.

    JSON, an object with a list per recording, by file name. An entry is an object with `start`,
    `cfo_hz`, `rate`, `psdu` (see `reference_channel.from_truth`), optionally `seed`, `fcs_ok`, `ht`.
    """
    if fault := regular_file.fault(path):
        raise UserError(f"--truth {path}: {fault}")
    try:
        with open(path, encoding="utf-8") as f:
            truth = json.load(f)
    except (ValueError, RecursionError) as e:
        raise UserError(f"--truth {path}: is not JSON ({e})") from None
    needed = {"start", "cfo_hz", "rate", "psdu"}
    if not isinstance(truth, dict) or not all(isinstance(v, list) for v in truth.values()):
        raise UserError(f"--truth {path}: needs an object with a list of packets per file name")
    for name, entries in truth.items():
        for i, entry in enumerate(entries):
            missing = needed - set(entry) if isinstance(entry, dict) else needed
            if missing and not (isinstance(entry, dict) and entry.get("ht")):
                raise UserError(f"--truth {path}: packet {i} of {name} lacks {', '.join(sorted(missing))}")
    return truth


def from_truth_file(capture, truth, notes):
    """Known packets of one recording by its truth: only legacy packets with a good FCS."""
    name = os.path.basename(capture.path)
    if name not in truth:
        raise UserError(f"{capture.path}: the truth file does not know '{name}'; leave --truth out, or add it")
    packets = []
    for entry in truth[name]:
        if entry.get("ht") or not entry.get("fcs_ok", True):
            continue
        try:
            packets.append(reference_channel.from_truth(capture, entry, name))
        except (ValueError, TypeError, OverflowError) as e:
            notes.append(f"{name}: packet left out: {e}")
    return packets


def from_receiver(capture, notes, limit=MAX_PACKETS, progress=None):
    """(known packets, counts) of one recording, received with our own synchroniser.

    counts: dict "found" (valid SIGNAL), "fcs_ok", "ht", "cut". Only packets with a good FCS can be
    re-encoded and are returned.
    """
    name = os.path.basename(capture.path)
    counts = dict.fromkeys(("found", "fcs_ok", "ht", "cut"), 0)
    packets = []
    for item in wifi_finder.receive(capture, progress=progress):
        counts["found"] += 1
        counts["fcs_ok"] += item.result.fcs_ok
        counts["ht"] += item.result.ht
        counts["cut"] += item.result.reason.startswith("cut")
        if not item.result.fcs_ok:
            continue
        if len(packets) == limit:
            notes.append(f"{name}: only the first {limit} packets were kept (--max-packets)")
            break
        packets.append(reference_channel.from_received(item, name))
    return packets, counts
