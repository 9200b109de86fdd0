# SPDX-License-Identifier: GPL-3.0-or-later
"""The network that says the powers of delays once for several links."""

import numpy as np
import torch
from gr_diffsem.models import training
from gr_diffsem.models.shared_powers import SharedPowers
from gr_diffsem.schemes.mimo_ofdm_chanest import SCHEME


def made(seed=1):
    torch.manual_seed(seed)
    return SharedPowers().eval()


def looks(count=6, snr_db=10):
    return training.tensors(SCHEME.validation()["half"](snr_db))[:4], count


def test_the_answer_is_the_posterior_mean_under_the_powers_it_says():
    """Flat powers, enough steps: linear MMSE in closed form, link by link, in the order that links came in."""
    net = made()
    net.steps = (1, 40)
    net.says[1].weight.data.zero_()
    (clean, state, sigma, observed), count = looks()
    with torch.no_grad():
        mean, log_variance = net(state[:count], sigma[:count])
    waves = net.waves
    k = np.arange(64) - 32
    phi = np.exp(-2j * np.pi * np.outer(k, waves.middle + waves.tau))
    covariance = phi @ phi.conj().T / waves.delays
    for item in range(count):
        for link in range(4):
            seen = observed[item, link].numpy()
            noise = sigma[item, 0, link].numpy()[seen] ** 2 + 1e-4
            y = (state[item, 0, link] + 1j * state[item, 1, link]).numpy()[seen]
            by_hand = covariance[:, seen] @ np.linalg.solve(covariance[seen][:, seen] + np.diag(noise), y)
            found = (mean[item, 0, link] + 1j * mean[item, 1, link]).numpy()
            # 23 short waves hold all but the last of delays beside the window's edges
            assert np.sum(np.abs(found - by_hand)[6:59] ** 2) < 1e-3 * np.sum(np.abs(by_hand) ** 2)
    assert log_variance.shape == (count, 1, 4, 64)


def test_a_turn_of_the_phase_turns_the_answer():
    net = made()
    (_, state, sigma, _), count = looks()
    turned = torch.stack((-state[:count, 1], state[:count, 0]), 1)
    with torch.no_grad():
        mean, said = net(state[:count], sigma[:count])
        other, said_too = net(turned, sigma[:count])
    assert torch.allclose(torch.stack((-mean[:, 1], mean[:, 0]), 1), other, atol=1e-3)
    assert torch.allclose(said, said_too, atol=1e-3)


def test_gradients_reach_every_weight():
    net = made().train()
    batch = training.tensors(SCHEME.batch(np.random.default_rng(3), 8, 0.25))
    fit, spread = training.loss(net, *batch, warm=True)
    (fit + spread).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
    assert net.multiply_adds() == net.for_export().multiply_adds() < 5e6
