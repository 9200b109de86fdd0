# SPDX-License-Identifier: GPL-3.0-or-later
"""The linear code of photographs: its transform, its bytes, its symbols and its estimate."""

import numpy as np
import pytest
from gr_diffsem.base import picture_transform
from gr_diffsem.codec import content, digital_part, frames, picture_codec, picture_plan, range_coder, zones


def photograph(h=240, w=320, seed=1):
    """Like a photograph: amplitudes that fall with frequency, two edges."""
    rng = np.random.default_rng(seed)
    f = np.hypot(np.arange(h)[:, None] / h, np.arange(w) / w) + 1e-2
    planes = rng.standard_normal((3, h, w)) / f**1.3 * np.array([1, 0.25, 0.2])[:, None, None]
    image = picture_transform.inverse(planes)
    image = 0.5 + 0.16 * image / image.std()
    image[h // 3 :, w // 2 :] += 0.15
    return np.rint(image.clip(0, 1) * 255).astype(np.uint8)


def psnr(a, b):
    return -10 * np.log10(np.mean((a - b / 255.0) ** 2))


def received(encoded, snr_db, seed=2):
    noise = 10 ** (-snr_db / 10)
    rng = np.random.default_rng(seed)
    n = rng.standard_normal((2, encoded.symbols.size)) * np.sqrt(noise / 2)
    return encoded.symbols + n[0] + 1j * n[1], np.full(encoded.symbols.size, noise, np.float32)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1), (7, 12), (16, 9)])
def test_transform_is_orthonormal_and_that_of_scipy(shape):
    import scipy.fft

    x = np.random.default_rng(3).standard_normal((*shape, 3))
    c = picture_transform.forward(x)
    planes = np.tensordot(picture_transform.COLOURS, x, (1, 2))
    assert np.allclose(c, scipy.fft.dctn(planes, axes=(1, 2), norm="ortho"), atol=1e-12)
    assert np.allclose(picture_transform.inverse(c), x, atol=1e-12)


def test_range_coder_gives_back_what_it_took():
    rng = np.random.default_rng(4)
    bits = (rng.random(3000) < 0.04).astype(int).tolist()
    numbers = rng.integers(-40, 40, 200).tolist()

    def go(coder, values, more):
        one, many = range_coder.Context(), [range_coder.Context() for _ in range(4)]
        return [coder.bit(b, one) for b in values], [range_coder.signed(coder, n, many) for n in more]

    encoder = range_coder.Encoder()
    go(encoder, bits, numbers)
    data = encoder.finish()
    assert go(range_coder.Decoder(data), [0] * 3000, [0] * 200) == (bits, numbers)
    entropy = -3000 * (0.04 * np.log2(0.04) + 0.96 * np.log2(0.96))
    assert len(data) < (entropy * 1.1 + 200 * 9) / 8


def test_zones_cover_each_coefficient_once():
    for model in range(len(zones.RATIOS)):
        grid = zones.zones(37, 50, model)
        plane = np.random.default_rng(5).random((37, 50))
        sums, number = grid.sums(plane, (2, 3)), grid.number((2, 3))
        assert number.sum() == 37 * 50 - 6
        assert np.isclose(sums.sum(), plane.sum() - plane[:2, :3].sum())
    assert zones.edges(10, 6) == [0, 1, 2, 3, 4, 6, 9, 10]


@pytest.mark.parametrize(("cbr", "size"), [(1 / 6, (240, 320)), (1 / 24, (240, 320)), (1 / 3, (101, 67))])
def test_all_uses_are_spent_and_mean_power_is_one_in_every_frame(cbr, size):
    image = photograph(*size)
    uses = int(image.size * cbr)
    made = picture_codec.encode(image, uses)
    sent = frames.cut(made.digital, made.symbols, 1)
    side = frames.digital_symbols(digital_part.uses(len(made.digital)), len(sent)) + frames.HEADER_USES * len(sent)
    assert side <= picture_codec.OVERHEAD * uses
    assert uses - frames.HEADER_USES < side + made.symbols.size <= uses
    assert abs(np.mean(np.abs(made.symbols) ** 2) - 1) < 0.01
    for frame in sent:
        assert abs(np.mean(np.abs(frame.symbols) ** 2) - 1) < 0.25
    assert [s.stop - s.start for s in made.plan.layers] == pytest.approx([made.symbols.size / 2] * 4, abs=1)
    power = 2 * made.plan.gains**2 * made.plan.variances.ravel()[made.plan.order]
    assert power[made.plan.copies < picture_plan.COPIES].max() < 1.3 * picture_plan.PEAK and np.all(
        np.diff(made.plan.copies) <= 0
    )
    assert made.plan.copies.sum() == 2 * made.symbols.size and made.plan.copies[0] >= 2


def test_the_digital_part_is_all_a_receiver_needs():
    made = picture_codec.encode(photograph(), 38400, scheme_hash=0xBEEF)
    found = picture_codec.Plan.from_bytes(made.digital)
    assert found.to_bytes() == made.digital
    assert found.shape == (240, 320) and found.n_symbols == made.symbols.size and found.scheme_hash == 0xBEEF
    for name in ("order", "gains", "variances", "places", "copies", "slots"):
        assert np.array_equal(getattr(found, name), getattr(made.plan, name)), name
    again = picture_codec.encode(photograph(), 38400, scheme_hash=0xBEEF)
    assert again.digital == made.digital and np.array_equal(again.symbols, made.symbols)


def test_without_noise_only_what_was_not_sent_is_missing():
    image = photograph(64, 96)
    made = picture_codec.encode(image, 3 * 64 * 96)  # two slots for each value
    out, _ = picture_codec.linear(made.plan, made.symbols, np.full(made.symbols.size, 1e-9))
    assert psnr(out, image) > 45


@pytest.mark.parametrize("snr_db", [0, 5, 15])
def test_linear_knows_its_own_error(snr_db):
    """The posterior variances sum to the error, as far as the spectrum is true."""
    image = photograph(seed=6)
    made = picture_codec.encode(image, 12800)
    out, variance = picture_codec.linear(made.plan, *received(made, snr_db))
    error = np.sum((picture_transform.forward(out - image / 255.0)) ** 2)
    assert 0.5 < variance.sum() / error < 1.6


def test_more_snr_and_more_uses_help_and_lost_symbols_cost_little():
    image = photograph(seed=7)
    values = [
        psnr(picture_codec.linear(e.plan, *received(e, snr))[0], image)
        for e in (picture_codec.encode(image, n) for n in (9600, 38400))
        for snr in (0, 5, 10, 15)
    ]
    assert np.all(np.diff(values[:4]) > 0.4) and np.all(np.array(values[4:]) > np.array(values[:4]) + 2)
    made = picture_codec.encode(image, 9600)
    symbols, noise = received(made, 10)
    symbols[::10], noise[::10] = np.nan, np.inf
    few = psnr(picture_codec.linear(made.plan, symbols, noise)[0], image)
    assert values[2] - 4 < few < values[2]  # a tenth of the energy is missing
    nothing, variance = picture_codec.linear(made.plan, np.zeros_like(symbols), np.full(noise.shape, np.inf))
    assert np.isfinite(nothing).all() and psnr(nothing, image) > 10
    assert variance.sum() > 0


def test_a_measurement_is_the_coefficient_times_its_gain():
    image = photograph(96, 128)
    made = picture_codec.encode(image, 12000)
    y, gains, mask, noise = picture_codec.measurement(made.plan, made.symbols, np.full(made.symbols.size, 1e-6))
    c = picture_transform.forward(image / 255.0 - 0.5)
    analogue = mask.copy()
    analogue[:, : made.plan.block[0], : made.plan.block[1]] = False
    assert np.abs(y - gains * c)[analogue].max() < 1e-4
    assert np.isinf(noise[~mask]).all() and analogue.sum() == made.plan.order.size
    with pytest.raises(ValueError, match="the plan has"):
        picture_codec.measurement(made.plan, made.symbols[:-1], np.ones(made.symbols.size))


def test_strong_coefficients_survive_the_loss_of_symbols():
    """What goes in several slots is lost with all of them only."""
    made = picture_codec.encode(photograph(), 9600)
    symbols, noise = received(made, 10)
    noise[np.random.default_rng(3).random(noise.size) < 0.3] = np.inf
    _, _, mask, _ = picture_codec.measurement(made.plan, symbols, noise)
    seen = mask.ravel()[made.plan.order]
    many = made.plan.copies >= 4
    assert many.sum() > 30 and seen[many].mean() > 0.96 and seen[made.plan.copies == 1].mean() < 0.75


@pytest.mark.parametrize(
    ("image", "uses", "message"),
    [
        (np.zeros((8, 8), np.uint8), 999, "uint8 .* must be"),
        (np.zeros((8, 8, 4), np.uint8), 999, "convert it to RGB"),
        (np.zeros((8, 8, 3), np.uint16), 999, "uint16"),
        (np.zeros((0, 8, 3), np.uint8), 999, "must be"),
        (np.zeros((1, 1, 3), np.uint8), 99999, "one pixel"),
        (np.zeros((1, 5000, 3), np.uint8), 99999, "a side may have 4096"),
        (np.zeros((64, 64, 3), np.uint8), 256, r"needs 5776 .CBR 1/2.13"),
    ],
)
def test_what_cannot_be_sent_is_said(image, uses, message):
    with pytest.raises(picture_codec.ContentError, match=message):
        picture_codec.encode(image, uses)


@pytest.mark.parametrize("shape", [(16, 16), (17, 31), (1, 2), (3, 90), (16, 768), (40, 40)])
def test_as_many_uses_as_are_asked_for_are_enough(shape):
    for image in (np.zeros((*shape, 3), np.uint8), np.random.default_rng(7).integers(0, 256, (*shape, 3), np.uint8)):
        with pytest.raises(picture_codec.TooFewUses) as e:
            picture_codec.encode(image, image.size // 48)
        assert picture_codec.encode(image, e.value.needed).symbols.size and f"needs {e.value.needed} " in str(e.value)


@pytest.mark.parametrize(
    "image", [np.zeros((64, 64, 3), np.uint8), np.full((1, 2, 3), 200, np.uint8), np.full((3, 90, 3), 255, np.uint8)]
)
def test_flat_and_tiny_pictures_arrive(image):
    made = picture_codec.encode(image, 12000)
    out, _ = picture_codec.linear(picture_codec.Plan.from_bytes(made.digital), *received(made, 10))
    assert np.isfinite(made.symbols).all() and np.abs(out - image / 255.0).max() < 0.1


def test_bytes_that_are_no_picture_are_refused():
    rng = np.random.default_rng(8)
    whole = picture_codec.encode(photograph(), 38400).digital
    refused = 0
    for i in range(60):
        data = bytearray(whole if i % 2 else rng.integers(0, 256, 40, np.uint8).tobytes())
        data[rng.integers(0, len(data))] ^= 1 << rng.integers(0, 8)
        try:
            plan = picture_codec.Plan.from_bytes(bytes(data))
            assert plan.n_symbols > 0 and max(plan.shape) <= 4096
        except picture_codec.ContentError:
            refused += 1
    assert refused >= 15
    with pytest.raises(picture_codec.ContentError):
        picture_codec.Plan.from_bytes(b"")


def test_text_and_arrays_ride_too():
    data = content.encode_text("73 de nobody, été")
    assert content.kind(data) == content.TEXT and content.decode_text(data) == "73 de nobody, été"
    with pytest.raises(picture_codec.ContentError, match="send it in several"):
        content.encode_text("x" * 5000)
    assert content.kind(picture_codec.encode(photograph(64, 64), 13000).digital) == content.PHOTOGRAPH
    rng = np.random.default_rng(9)
    for values in (rng.standard_normal((5, 7)) * 3 + 2, rng.standard_normal(33) + 1j * rng.standard_normal(33)):
        data, symbols = content.encode_array(values, "csi", uses=3000)
        plan = content.Array.from_bytes(data)
        assert content.kind(data) == content.ARRAY and plan.domain == "csi" and plan.shape == values.shape
        assert abs(np.mean(np.abs(symbols) ** 2) - 1) < 0.1 and plan.n_symbols == symbols.size
        found, variance = content.decode_array(plan, symbols, np.full(symbols.size, 1e-6, np.float32))
        assert np.abs(found - values).max() < 1e-2 and found.dtype == (
            np.complex64 if np.iscomplexobj(values) else np.float32
        )
        lost, far = content.decode_array(plan, symbols, np.full(symbols.size, np.inf, np.float32))
        assert np.allclose(lost, values.mean(), atol=1e-3) and np.all(far > variance)
    with pytest.raises(picture_codec.ContentError):
        content.Array.from_bytes(data[:7])
