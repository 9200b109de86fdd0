# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiving side of photographs: the C++ core decides as the NumPy twin does."""

from dataclasses import replace

import numpy as np
import pytest
from gnuradio.diffsem import core, scheme
from gr_diffsem.base import picture_transform
from gr_diffsem.codec import digital_part, picture_codec
from gr_diffsem.codec.picture_plan import STEPS, ContentError, Plan
from gr_diffsem.phy import soft_demap

#: height, width, channel uses.
CASES = [
    (240, 320, 9600),
    (240, 320, 38400),
    (97, 61, 6100),
    (33, 500, 9000),
    (48, 64, 6200),
    (1, 40, 6100),
    (9, 2, 6100),
]


def photograph(h, w, seed):
    """Amplitudes that fall with frequency, and an edge."""
    rng = np.random.default_rng(seed)
    f = np.hypot(np.arange(h)[:, None] / h, np.arange(w) / w) + 1e-2
    planes = rng.standard_normal((3, h, w)) / f**1.3 * np.array([1, 0.25, 0.2])[:, None, None]
    image = picture_transform.inverse(planes)
    image = 0.5 + 0.16 * image / (image.std() + 1e-9)
    image[h // 3 :, w // 2 :] += 0.15
    return np.rint(image.clip(0, 1) * 255).astype(np.uint8)


@pytest.fixture(scope="module", params=CASES, ids=lambda c: f"{c[0]}x{c[1]}-{c[2]}")
def sent(request):
    h, w, uses = request.param
    return picture_codec.encode(photograph(h, w, seed=uses), uses, scheme_hash=0xBEEF)


def same_plan(data):
    """Both plans of some octets, or None where neither takes them."""
    try:
        expected = Plan.from_bytes(data)
    except ContentError:
        with pytest.raises(ValueError):
            core.PicturePlan(data)
        return None
    found = core.PicturePlan(data)
    said = found.describe()
    for name in ("shape", "n_symbols", "model", "block", "floor", "power", "design_snr", "scheme_hash"):
        assert said[name] == getattr(expected, name), name
    assert said["step"] == STEPS[expected.step]
    assert np.array_equal(said["low"], expected.low)
    assert np.array_equal(said["levels"], expected.levels)
    if expected.tail:
        assert tuple(said["tail"]) == expected.tail
    return expected, found


def same_allocation(expected, found):
    allocation = found.allocation()
    for name in ("order", "copies", "places"):
        assert np.array_equal(allocation[name], getattr(expected, name)), name
    assert np.array_equal(allocation["gains"], expected.gains)
    np.testing.assert_allclose(found.variances(), expected.variances, rtol=1e-12)


def test_plans_are_equal_to_the_bit(sent):
    same_allocation(*same_plan(sent.digital))


@pytest.mark.parametrize("model", range(6))
@pytest.mark.parametrize("block", [(1, 1), (2, 3), (4, 6)])
@pytest.mark.parametrize("shape", [(40, 56), (3, 200), (130, 2)])
def test_plans_of_every_model_are_equal(model, block, shape):
    rng = np.random.default_rng([model, *block, *shape])
    law = tuple((int(rng.integers(-8, 6)), int(rng.integers(8))) for _ in range(3)) if model == 0 else ()
    cut = tuple(map(min, block, shape))
    grid = picture_codec.make_zones(*shape, model)
    smooth = np.add.outer(np.arange(grid.rows), np.arange(grid.columns)).ravel()
    levels = np.maximum(0, 20 - smooth - rng.integers(0, 6, (3, grid.count))) * (grid.number(block) > 0)
    made = Plan(
        shape, int(rng.integers(4, 3000)), model, block, int(rng.integers(16)), rng.integers(-90, 90, (3, *cut)),
        -24 if model == 0 else int(rng.integers(-24, 10)), levels, tuple(rng.integers(-24, 39, 3).tolist()), law,
        int(rng.integers(256)), int(rng.integers(-10, 22)), int(rng.integers(256)),
    )  # fmt: skip
    expected, found = same_plan(made.to_bytes())
    if np.any(expected.levels):
        same_allocation(expected, found)


def test_bytes_that_are_no_pictures_are_refused_alike(sent):
    rng = np.random.default_rng(5)
    taken = 0
    for _ in range(60):
        data = bytearray(sent.digital)
        # behind the size: not millions of pixels each time
        for at in rng.integers(8 * 8, len(data) * 8, rng.integers(1, 4)):
            data[at // 8] ^= 1 << at % 8
        taken += same_plan(bytes(data[: rng.integers(8, len(data) + 1)])) is not None
    assert taken
    for data in (b"", b"\0", b"\xff" * 200, bytes(rng.integers(0, 256, 300, np.uint8))):
        same_plan(data)


def test_an_allocation_of_nothing_is_an_error():
    made = picture_codec.encode(photograph(240, 320, 3), 38400).plan
    for n_symbols in (1, 2, 3):
        few = core.PicturePlan(replace(made, n_symbols=n_symbols).to_bytes())
        try:
            assert few.allocation()["copies"].sum() == 2 * n_symbols
        except ValueError as e:
            assert "no coefficient" in str(e)
    count = picture_codec.make_zones(240, 320, 1).count  # the rings have no level 0
    nothing = replace(made, model=1, law=(), tail=(0, 0, 0), levels=np.zeros((3, count), np.int64)).to_bytes()
    with pytest.raises(ValueError, match="no coefficient"):
        core.PicturePlan(nothing).allocation()


def through(made, snr_db, loss, fading, seed):
    """Symbols and the noise variance of each, after a channel that loses runs of them and fades."""
    rng = np.random.default_rng(seed)
    n = made.symbols.size
    gain = np.ones(n)
    if fading:
        walk = np.cumsum(rng.standard_normal((2, n)), 1) / 30
        gain = np.maximum(np.hypot(np.cos(walk[0]), np.sin(walk[1])), 0.02)
    noise = 10 ** (-snr_db / 10) / gain**2
    symbols = made.symbols + (rng.standard_normal(n) + 1j * rng.standard_normal(n)) * np.sqrt(noise / 2)
    noise[np.repeat(rng.random(-(-n // 48)) < loss, 48)[:n]] = np.inf
    symbols[rng.random(n) < 0.01] = np.nan
    return symbols.astype(np.complex64), noise.astype(np.float32)


@pytest.mark.parametrize(
    "snr_db, loss, fading", [(-3, 0, False), (5, 0.3, False), (10, 0.1, True), (30, 0, True), (5, 1, False)]
)
def test_measurement_and_picture_are_the_twins(sent, snr_db, loss, fading):
    symbols, noise_var = through(sent, snr_db, loss, fading, seed=7)
    y, gains, _, v = picture_codec.measurement(sent.plan, symbols, noise_var)
    found = core.PicturePlan(sent.digital).measurement(symbols, noise_var)
    for a, b in zip(found, (y, gains, v), strict=True):
        assert np.array_equal(a, b.astype(np.float32))
    with np.errstate(invalid="ignore"):
        expected, _ = picture_codec.linear(sent.plan, symbols, noise_var)
    picture, said = core.receive_picture(core.picture_estimator(scheme("linear")), sent.digital, symbols, noise_var)
    assert said["hash_bits"] in (8, 16) and said["scheme_hash"] == sent.plan.scheme_hash
    off = np.abs(picture.astype(int) - np.rint(expected * 255))
    assert off.max() <= 1 and np.mean(off > 0) < 1e-2  # float against double, at the edge between two levels


def test_symbols_of_another_number_are_refused(sent):
    estimator = core.picture_estimator(scheme("linear"))
    n = sent.symbols.size
    with pytest.raises(ValueError, match=f"{n} symbols, there are {n - 1}"):
        core.receive_picture(estimator, sent.digital, sent.symbols[1:], np.ones(n - 1, np.float32))


@pytest.mark.parametrize("size", range(32))
def test_every_digital_code_is_the_twins(size):
    code = core.DigitalCode(size)
    assert (code.octets, code.uses) == (digital_part.SIZES[size], digital_part.uses(digital_part.SIZES[size]))
    rng = np.random.default_rng(size)
    data = rng.integers(
        0, 256, int(rng.integers(digital_part.SIZES[size - 1] + 1 if size else 0, code.octets + 1)), np.uint8
    )
    sent = digital_part.modulate(data.tobytes())
    noise = 10**0.2
    received = sent + (rng.standard_normal(sent.size) + 1j * rng.standard_normal(sent.size)) * np.sqrt(noise / 2)
    soft = soft_demap.qpsk(received, noise)
    assert code.decode(soft) == digital_part.decode(soft, size) == data.tobytes()
    assert code.decode(-soft) is None


def test_the_digital_code_fails_where_the_twin_fails():
    """Over its waterfall (-4.5 to -2.5 dB): the messages differ by rounding, so a block in fifty may differ."""
    rng = np.random.default_rng(11)
    data = rng.integers(0, 256, 60, np.uint8).tobytes()
    sent, size = digital_part.modulate(data), digital_part.size_index(60)
    code = core.DigitalCode(size)
    alike, good = [], []
    for snr_db in np.linspace(-7, -3, 50):
        noise = 10 ** (-snr_db / 10)
        received = sent + (rng.standard_normal(sent.size) + 1j * rng.standard_normal(sent.size)) * np.sqrt(noise / 2)
        soft = soft_demap.qpsk(received, noise)
        a, b = code.decode(soft), digital_part.decode(soft, size)
        assert a in (None, data)
        alike.append(a == b)
        good.append(a is not None)
    assert np.sum(alike) >= 49
    assert 5 < np.sum(good) < 45, np.sum(good)


def test_a_digital_code_refuses_what_is_none():
    with pytest.raises(ValueError, match="size is 32"):
        core.DigitalCode(32)
    with pytest.raises(ValueError, match="soft has 3 values"):
        core.DigitalCode(0).decode(np.zeros(3, np.float32))
    assert core.DigitalCode(0).decode(np.full(2 * core.DigitalCode(0).uses, np.nan, np.float32)) is None
