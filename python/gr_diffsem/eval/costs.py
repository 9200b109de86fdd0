# SPDX-License-Identifier: GPL-3.0-or-later
"""What the members of a package cost while they are measured: evaluations, multiply-adds and time of one item."""

import time

import numpy as np

from ..base import model_packages


class Costs:
    """Of each member: `took(name, items, seconds, evaluations)` for every call, `of(name)` what one item cost."""

    def __init__(self, package):
        self.package, self.calls = package, {}

    def timed(self, name, items, work, evaluations=None):
        """work()'s answer; `evaluations(answer)` says how many it took of the network, None what is none."""
        begin = time.perf_counter()
        answer = work()
        seconds = time.perf_counter() - begin
        self.took(name, items, seconds, evaluations(answer) if evaluations else None)
        return answer

    def took(self, name, items, seconds, evaluations=None):
        """One call over `items` took so long; evaluations of the network for each of them, or None."""
        self.calls.setdefault(name, []).append((seconds / items, evaluations))

    def of(self, name):
        """{"evaluations", "macs", "ms_per_item"} of a method, None where it is not known. The most evaluations of any
        call with their multiply-adds and those of a codec's decoder, and the median time, which leaves out a call that
        loads the network."""
        calls = self.calls.get(name, [])
        counts = [count for _, count in calls if count]
        evaluations = float(max(counts)) if counts else None
        per = macs_of(self.package, name) if evaluations else None
        parts = [] if per is None else [per * evaluations]
        parts += [decoding] if calls and (decoding := macs_of(self.package, name, "codec", "decoder")) else []
        return {
            "evaluations": evaluations,
            "macs": int(sum(parts)) if parts else None,
            "ms_per_item": float(1e3 * np.median([seconds for seconds, _ in calls])) if calls else None,
        }


def macs_of(package, member, noun="prior", key="file"):
    """Multiply-adds of one evaluation of a member's network, or of another graph that it names; None where there is
    none."""
    from ..package import info

    path = package
    if package.is_dir():
        said = model_packages.read_manifest(package)["members"].get(member, {}).get(noun, {})
        path = package / said[key] if str(said.get(key, "")).endswith(".onnx") else None
    elif noun != "prior":
        return None
    try:
        return info.file_cost(path)["macs"] if path else None
    except (OSError, ValueError):
        return None
