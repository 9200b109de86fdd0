# SPDX-License-Identifier: GPL-3.0-or-later
"""The learned code of 16 messages: the classical one beside it, the SNR at which a rate is reached, and the package."""

import dataclasses
import json

import numpy as np
import pytest
from gnuradio import diffsem
from gr_diffsem import schemes
from gr_diffsem.air import channel_uses
from gr_diffsem.apps import cli
from gr_diffsem.base import model_packages
from gr_diffsem.eval import measured
from gr_diffsem.models import block_codes
from gr_diffsem.schemes import e2e_autoencoder as e2e
from gr_diffsem.schemes.base import RateClaim

SCHEME = schemes.get("e2e_autoencoder")
PACKAGE = model_packages.locate("e2e_autoencoder", checkout_first=True)[0]


def test_the_classical_code_is_the_extended_hamming_code():
    apart = (e2e.HAMMING[:, None] != e2e.HAMMING).sum(2)
    assert sorted(set(apart[0])) == [0, 4, 8] and np.all(np.sort(apart, 1) == np.sort(apart[0]))


def test_it_has_its_error_rate_in_noise():
    """Between its nearest words' union bound, 14 Q(sqrt(4 Eb/N0)), which is tight here, and two thirds of it."""
    from scipy.stats import norm

    rng, n = np.random.default_rng(1), 400_000
    messages = rng.integers(16, size=n)
    y = e2e.received("awgn", e2e.HAMMING[messages], channel_uses.chance("awgn", rng, (n, 8)), 4.0)
    bound = 14 * norm.sf(np.sqrt(4 * 10**0.4))
    assert 0.66 * bound < np.mean(e2e.most_likely("awgn", y, 4.0) != messages) < bound


@pytest.mark.parametrize("noise_var", [0.5, 0.03])
def test_the_likelihood_of_an_unknown_fade_is_the_integral(noise_var):
    y, h = np.array([-2.5, -0.7, -0.01, 0.0, 0.3, 1.8]), np.linspace(0, 6, 200_001)
    density = [np.sum(h * np.exp(-(h**2) - (y[:, None] - s * h) ** 2 / (2 * noise_var)), 1) for s in (1, -1)]
    expected = np.log(density[0] / density[1])
    np.testing.assert_allclose(e2e.rayleigh_llr(y, noise_var), expected, rtol=1e-4, atol=1e-9)
    assert np.all(np.isfinite(e2e.rayleigh_llr(np.array([-6.0, 6.0]), 0.01)))


def test_chance_is_drawn_as_the_channel_draws_it():
    x = channel_uses.sent(np.random.default_rng(0), 50)
    for kind in channel_uses.KINDS:
        ours = e2e.received(kind, x, channel_uses.chance(kind, np.random.default_rng(2), x.shape), None)
        assert np.array_equal(ours, channel_uses.received(kind, x, np.random.default_rng(2)))


def test_the_snr_at_which_a_rate_is_reached():
    """Rates 10^-k at 3 k dB: 10^-1.5 at 4.5 dB; a rate that is never reached has none."""
    levels, words = [0.0, 3.0, 6.0, 9.0], np.full((4, 2), 500.0)
    errors = 10.0 ** -np.arange(4.0)[:, None] * words
    assert measured.reached(10**-1.5, levels, errors, words) == pytest.approx(4.5)
    assert np.isnan(measured.reached(1e-5, levels, errors, words))
    assert np.isnan(measured.reached(1e-5, levels, 0 * errors, words))
    columns = {"rate": {"a": (errors, words), "b": (10**0.2 * errors, words)}}
    apart = RateClaim("apart", "b", None, "a", gate=0.7, quantity="rate", reached=10**-1.5)
    entry = measured._claim(apart, columns, levels)
    assert entry["ours"] == pytest.approx(0.6) and entry["holds"] and entry["ci95"] == pytest.approx([0.6, 0.6])
    at = dataclasses.replace(apart, snr_db=6.0, reached=None, gate=1.0)
    entry = measured._claim(at, columns, levels)
    assert entry["ours"] == pytest.approx(10**0.2) and not entry["holds"]
    missing = measured._claim(dataclasses.replace(apart, quantity="other"), columns, levels)
    assert missing["ours"] is None and missing["holds"] is None


@pytest.mark.parametrize("kind", channel_uses.KINDS)
def test_the_package_s_graphs_are_the_first_code_of_the_generated_channel(kind):
    """Words of unit power, its decoder's probabilities, and the decisions of the arrays that are evaluated."""
    scheme = diffsem.scheme(f"{PACKAGE}/{kind}")
    flat = np.load(PACKAGE / f"{kind}_codes.npy")[block_codes.TAUGHT.index("diffusion") * e2e.CODES]
    book = block_codes.words_of(flat)
    words = scheme.encode(np.eye(16, dtype=np.float32))
    np.testing.assert_allclose(words, e2e.planes_to_complex(book), atol=1e-6)
    np.testing.assert_allclose(np.mean(np.abs(words) ** 2, 1), 1, atol=1e-5)
    messages = np.arange(2000) % 16
    y = channel_uses.received(kind, book[messages], np.random.default_rng(3))
    content, _, info = scheme.estimate(e2e.planes_to_complex(y), 0.1)
    np.testing.assert_allclose(np.exp(content).sum(1), 1, atol=1e-4)
    assert np.array_equal(content.argmax(1), block_codes.decided(flat, y)) and not np.any(info["bypassed"])
    assert np.mean(content.argmax(1) != messages) < 0.02


def test_evaluation_says_what_it_must(tmp_path, capsys):
    picture = tmp_path / "rates.png"
    words = ["eval", "e2e_autoencoder", "--realisations", "400", "--snr", "2", "4", "8", "--plot", str(picture)]
    assert cli.main([*words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert list(said["measured"]) == [e2e.quantity(kind) for kind in channel_uses.KINDS]
    for rows in said["measured"].values():
        assert list(rows) == [*block_codes.TAUGHT, e2e.CLASSIC]
        rates = [entry["value"] for entry in rows["true"]]
        assert rates[0] > rates[1] > rates[2] >= 0
    gated = [claim for claim in said["claims"] if claim["gate"] is not None]
    assert len(gated) == len(channel_uses.KINDS) * len(e2e.RATES)
    published = [claim for claim in said["claims"] if claim["published"]]
    assert len(published) == 6 and all(claim["published_on"] for claim in published)
    assert any(claim["ours"] is not None for claim in gated) and picture.stat().st_size > 10_000


def test_claims_are_told_in_words():
    first = next(claim for claim in SCHEME.claims_json() if claim["gate"] is not None)
    text = "SNR at which symbol error rate, AWGN of `diffusion` is 0.01, less that of `true`, at most 0.3 dB"
    assert SCHEME.claim_text(first).endswith(text)
    at = {**first, "snr_db": 7, "reached": None, "gate": 2}
    assert SCHEME.claim_text(at).endswith("of `diffusion` at 7 dB over that of `true` at most 2")
