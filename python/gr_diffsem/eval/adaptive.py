# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that follow the SNR, and what they lose where the SNR is not known exactly.

The plan of a VP grid begins at the level that matches the measured noise (B. Fesl et al., "Diffusion-based generative
prior for low-complexity MIMO channel estimation", IEEE WCL 2024, section III): many evaluations at low SNR, few at
high. Told an SNR that is off, it begins too early or too late. Measured against the same inference with the true
noise variance ("genie"). An SNR becomes a noise variance as in the block `estimate`: an item's power over 1 + SNR.
The guard is off, since it would take a noise variance that is wrong on purpose for a wrong prior. One evaluation more,
`noise_updates=1`, mends most of it: docs/theory.md.
"""

import numpy as np

from ..base import console
from . import scheme_runner

PLAN = "sampler=posterior_mean,plan=linear_vp,steps=100,guard=off"
UPDATE = "noise_updates=1"


def report(run_member, spec, error_db):
    """{"plan", "error_db", "evaluations" [S], "genie" [S], "below", "above", "random" [S], "loss_db", "updated"}.

    run_member: eval.Members. NMSE in dB at each SNR with the true noise variance, told an SNR `error_db` below and
    above the true one, and told one drawn uniformly between for each item; "loss_db" is the most that any loses.
    "updated": the last four where the noise is updated once before inference, against the same genie.
    """
    steps = []

    def told(factor, planned):
        def method(part, y, noise_var):
            told_var = noise_var
            if factor is not None:
                seen = y if part.observed is None else y[:, np.asarray(part.observed, bool).reshape(-1)]
                power = np.mean(np.abs(seen) ** 2, axis=1)
                snr = np.maximum(power - noise_var, 1e-6 * power) / noise_var
                told_var = (power / (1 + snr * factor(len(y)))).astype(np.float32)
            answer = scheme_runner.estimate(planned, y, told_var, part.observed, part.matrix)
            steps.append((noise_var, answer[2]))
            return answer

        return method

    dice = np.random.default_rng(run_member.seed)
    low, high = 10 ** (-error_db / 10), 10 ** (error_db / 10)
    ways = {
        "genie": None,
        "below": lambda n: low,
        "above": lambda n: high,
        "random": lambda n: (10 ** (dice.uniform(-error_db, error_db, n) / 10)).astype(np.float32),
    }
    rows, updated = {}, {}
    for name, factor in ways.items():
        for keys, into in ((PLAN, rows), (f"{PLAN},{UPDATE}", updated)):
            run_member.estimate_with(f"{name}:adaptive", told(factor, f"{spec}:{keys}"))
            into[name] = run_member.forget(f"{name}:adaptive")
            if name == "genie" and into is rows:
                first = list(steps)
    by_noise = {}
    for noise_var, evaluations in first:
        by_noise.setdefault(noise_var, []).append(evaluations)

    def loss(of):
        return float(max(np.subtract(of[name], rows["genie"]).max() for name in ways))

    return {
        "plan": PLAN,
        "error_db": error_db,
        "evaluations": [float(np.mean(v)) for v in by_noise.values()],
        **rows,
        "loss_db": loss(rows),
        "updated": {**updated, "loss_db": loss(updated)},
    }


def table(entry, levels):
    """The report for people."""
    lines = ["", f"steps that follow the SNR ({entry['plan']}), told an SNR off by {entry['error_db']:g} dB"]
    rows, lost = [["evaluations", *(f"{v:.1f}" for v in entry["evaluations"])]], []
    for suffix, of in (("", entry), (", " + UPDATE, entry["updated"])):
        rows += [[name + suffix, *(f"{v:.2f}" for v in of[name])] for name in ("genie", "below", "above", "random")]
        lost.append(f"most that is lost{suffix}: {of['loss_db']:.2f} dB")
    return lines + console.table(["SNR, dB", *(f"{v:g}" for v in levels)], rows) + lost
