# SPDX-License-Identifier: GPL-3.0-or-later
"""Training from noisy signals alone: Stein's risk is the error that nobody sees."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gr_diffsem.models import sure_training, training  # noqa: E402
from gr_diffsem.schemes import mimo_fast_posterior  # noqa: E402


def test_the_risk_is_the_error_of_a_filter():
    """Of the linear answer a z to x of unit power the error is (1 - a)^2 + a^2 s^2, whatever a is."""
    torch.manual_seed(1)
    n, level = 400, torch.full((400, 1, 1, 1), 0.4)
    x = torch.randn(n, 2, 16, 64)  # planes of unit component variance
    z = x + level * torch.randn_like(x)
    for a in (0.3, 0.86, 1.1):
        probe, reach = torch.sign(torch.randn_like(z)), 0.05 * level
        found = sure_training.risk(a * z, a * (z + reach * probe), z, level, probe, reach)
        assert found.mean().item() == pytest.approx((1 - a) ** 2 + a**2 * 0.16, rel=0.02)
        assert found.mean().item() == pytest.approx((a * z - x).pow(2).mean().item(), rel=0.02)


def test_the_clean_signal_is_never_looked_at():
    """The loss of `sure` is the same where the clean signal is NaN; that of the others is not."""
    scheme = mimo_fast_posterior.SCHEME

    class One(sure_training.SureTraining):
        def __init__(self, member):
            torch.manual_seed(2)
            self.member, self.start, self.step = member, None, 0
            self.net = scheme.networks()[member].build()

    batch = scheme.batch(np.random.default_rng(3), 2, 1.0)
    clean, *rest = training.tensors(batch)
    for member, finite in (("sure", True), ("clean", False)):
        fit, _ = One(member).loss(torch.full_like(clean, torch.nan), *rest)
        assert bool(torch.isfinite(fit)) == finite
