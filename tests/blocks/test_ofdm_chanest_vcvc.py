# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel estimator against gr-digital's, bit for bit with `ls`, and against closed forms."""

import flow
import grid
import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, digital, gr

N = 64
OCCUPIED = np.r_[6:32, 33:59]  # shifted order, 52 carriers around DC


def sync_words(rng, n=N, occupied=OCCUPIED):
    """Two words: the first on every second carrier with twice the power."""
    one, two = np.zeros(n, complex), np.zeros(n, complex)
    odd = occupied[occupied % 2 == 1]
    one[odd] = np.sqrt(2) * rng.choice([-1, 1], odd.size)
    two[occupied] = rng.choice([-1, 1], occupied.size)
    return one.tolist(), two.tolist()


def channel(rng, frames, n=N, taps=12):
    power = np.exp(-np.arange(taps) / 4)
    power /= power.sum()
    h = rng.standard_normal((frames, taps)) + 1j * rng.standard_normal((frames, taps))
    k = np.arange(n) - n // 2
    return (h * np.sqrt(power / 2)) @ np.exp(-2j * np.pi * np.outer(np.arange(taps), k) / n)


def frames(rng, words, count, data_symbols, noise_var, offsets=(0,), n=N):
    """Received symbols [count * (words + data), n], channels, offsets of each frame."""
    h = channel(rng, count, n)
    data = (rng.choice([-1, 1], (count, data_symbols, n)) + 0j) * (np.abs(words[-1]) > 0)
    sent = np.concatenate([np.broadcast_to(words, (count, *np.shape(words))), data], 1)
    g = np.array([offsets[i % len(offsets)] for i in range(count)])
    y = sent * h[:, None, :]
    y = np.stack([np.roll(y[i], g[i], axis=-1) for i in range(count)])
    noise = rng.standard_normal(y.shape) + 1j * rng.standard_normal(y.shape)
    y = y + np.sqrt(noise_var / 2) * noise
    return y.reshape(-1, n).astype(np.complex64), h, g


def run(block, received, taps_output=True, tags=(), chunk=None):
    """Through a block: (data, taps or None, sink with the tags)."""
    n = received.shape[1]
    tb = gr.top_block()
    sink = blocks.vector_sink_c(n)
    tb.connect(flow.source(tb, received, tags, chunk), block, sink)
    taps = blocks.vector_sink_c(n)
    if taps_output:
        tb.connect((block, 1), taps)
    flow.run(tb)
    as_array = [np.array(s.data(), np.complex64).reshape(-1, n) for s in (sink, taps)]
    return as_array[0], as_array[1] if taps_output else None, sink


def same_as_stock(received, arguments, taps_output, tags=()):
    ours = run(diffsem.ofdm_chanest_vcvc("ls", *arguments), received, taps_output, tags)
    stock = run(digital.ofdm_chanest_vcvc(*arguments), received, taps_output, tags)
    assert stock[0].size > 0
    assert ours[0].tobytes() == stock[0].tobytes()
    if taps_output:
        assert ours[1].tobytes() == stock[1].tobytes()
    assert flow.tag_list(ours[2]) == flow.tag_list(stock[2])
    return flow.tag_values(ours[2], "ofdm_sync_carr_offset")


@pytest.mark.parametrize("taps_output", [False, True])
@pytest.mark.parametrize("data_symbols", [1, 5])
@pytest.mark.parametrize("mode", ["two", "one", "forced"])
def test_ls_is_the_stock_block_bit_for_bit(mode, data_symbols, taps_output):
    rng = np.random.default_rng(1)
    one, two = sync_words(rng)
    words = [one, two] if mode == "two" else [one]
    arguments = (one, [] if mode == "one" else two, data_symbols, 0, -1, mode == "forced")
    found = set()
    for noise_var in (0.0, 1e-2, 1.0):
        y, _, g = frames(rng, np.array(words), 40, data_symbols, noise_var, (0, 2, -2, 4, -4, -6))
        per_frame = len(words) + data_symbols
        tags = [flow.tag(i, "mark", float(i)) for i in range(0, len(y), 2)]
        tags.append(flow.tag(per_frame, "second", pmt.intern("frame")))
        offsets = same_as_stock(y, arguments, taps_output, tags)
        if noise_var == 0.0 and mode == "two":
            assert [offsets[k] for k in sorted(offsets)] == g.tolist()
        found |= set(offsets.values())
    assert len(found) > 3


def test_ls_is_the_stock_block_on_noise_alone_and_limited_offsets():
    rng = np.random.default_rng(2)
    one, two = sync_words(rng)
    noise = rng.standard_normal((900, 2 * N)).astype(np.float32).view(np.complex64)
    for limit in (-1, 0, 1, 2, 3):
        same_as_stock(noise, (one, two, 1, 0, limit), True)
        same_as_stock(noise, (one, [], 2, 0, limit), True)


@pytest.mark.parametrize("case", ["full", "gaps", "off_centre", "unequal", "no_guard"])
def test_ls_is_the_stock_block_for_any_layout(case):
    rng = np.random.default_rng(3)
    n = 128
    occupied = {
        "full": np.r_[10:64, 65:119],
        "gaps": np.r_[10:30, 50:60, 70:90],
        "off_centre": np.r_[3:50],
        "unequal": np.r_[10:64, 65:119],
        "no_guard": np.r_[0 : n - 1],  # one more, and the stock block writes behind its taps
    }[case]
    one, two = sync_words(rng, n, occupied)
    if case == "unequal":
        two = (np.array(two) * rng.uniform(0.5, 2, n) * np.exp(1j * rng.uniform(0, 6, n))).tolist()
    for words, arguments in (([one, two], (one, two, 3)), ([one], (one, [], 3))):
        y, _, _ = frames(rng, np.array(words), 30, 3, 0.1, (0, 2, -2), n)
        same_as_stock(y, arguments, True)


def test_survives_nan_as_the_stock_block_does():
    rng = np.random.default_rng(4)
    one, two = sync_words(rng)
    y, _, _ = frames(rng, np.array([one, two]), 20, 2, 0.1)
    y[7, 20], y[21, 3] = np.nan, np.inf
    ours = run(diffsem.ofdm_chanest_vcvc("ls", one, two, 2), y)
    stock = run(digital.ofdm_chanest_vcvc(one, two, 2), y)
    np.testing.assert_array_equal(ours[0], stock[0])
    np.testing.assert_array_equal(ours[1], stock[1])


@pytest.mark.parametrize("offset", [0, 2, -4])
@pytest.mark.parametrize("snr_db", [-5, 5, 15, 25])
def test_noise_variance_from_empty_carriers(snr_db, offset):
    rng = np.random.default_rng(5)
    one, two = sync_words(rng)
    noise_var = 10 ** (-snr_db / 10)
    y, _, _ = frames(rng, np.array([one, two]), 400, 1, noise_var, (offset,))
    block = diffsem.ofdm_chanest_vcvc("ls", one, two, 1, max_carr_offset=6, extra_tags="noise")
    _, _, sink = run(block, y)
    offsets = np.array(list(flow.tag_values(sink, "ofdm_sync_carr_offset").values()))
    noise = np.array(list(flow.tag_values(sink, "diffsem_noise_var").values()))[offsets == offset]
    assert noise.size > (300 if snr_db > 0 else 150)  # the search errs at -5 dB
    assert abs(noise.mean() / noise_var - 1) < 0.04  # unbiased
    assert abs(10 * np.log10(noise / noise_var).mean()) < 0.3


def test_noise_variance_without_empty_carriers_comes_from_the_delay_tail():
    rng = np.random.default_rng(6)
    word = np.zeros(N, complex)
    word[OCCUPIED] = 1.5 * rng.choice([-1, 1], OCCUPIED.size)
    y, _, _ = frames(rng, word[None], 400, 1, 0.01)
    _, _, sink = run(diffsem.ofdm_chanest_vcvc("ls", word.tolist(), [], 1, 12, 0, extra_tags="error"), y)
    noise = np.array(list(flow.tag_values(sink, "diffsem_noise_var").values()))
    assert abs(noise.mean() / 0.01 - 1) < 0.05
    error = np.array(list(flow.tag_values(sink, "diffsem_error_var").values()))
    np.testing.assert_allclose(error[:, OCCUPIED], (noise / 1.5**2)[:, None].repeat(52, 1), rtol=1e-5)
    assert not error[:, 0].any()


def covariance(n=N, taps=12):
    power = np.exp(-np.arange(taps) / 4)
    k = np.arange(n) - n // 2
    basis = np.exp(-2j * np.pi * np.outer(k, np.arange(taps)) / n)
    return (basis * (power / power.sum())) @ basis.conj().T


@pytest.mark.parametrize("mode", ["two", "one", "unequal"])
def test_gaussian_scheme_is_lmmse(gaussian_package, mode):
    rng = np.random.default_rng(7)
    one, two = sync_words(rng)
    if mode == "unequal":
        two = (np.array(two) * rng.uniform(0.5, 2, N)).tolist()
    words = np.array([one] if mode == "one" else [one, two])
    y, h, g = frames(rng, words, 60, 1, 0.05, (0,))
    c = covariance()
    block = diffsem.ofdm_chanest_vcvc(
        gaussian_package(c), one, [] if mode == "one" else two, 1, max_carr_offset=0, extra_tags="error"
    )
    _, taps, sink = run(block, y)
    tagged = [np.frombuffer(v, np.complex64) for _, k, v in flow.tag_list(sink) if k == "ofdm_sync_chan_taps"]
    np.testing.assert_array_equal(taps, tagged)
    noise = list(flow.tag_values(sink, "diffsem_noise_var").values())
    error = np.array(list(flow.tag_values(sink, "diffsem_error_var").values()))
    reference = words[-1]
    seen = np.abs(reference) > 0
    received = y.reshape(60, -1, N)[:, len(words) - 1]
    for i in range(60):
        ls = received[i, seen] / reference[seen]
        r = c[np.ix_(seen, seen)] + np.diag(noise[i] / np.abs(reference[seen]) ** 2)
        gain = np.linalg.solve(r, c[seen]).conj().T
        np.testing.assert_allclose(taps[i], gain @ ls, atol=2e-4)
        expected = np.real(np.diag(c) - np.sum(gain * c[:, seen].conj(), 1))
        np.testing.assert_allclose(error[i], expected, rtol=0.02, atol=1e-5)
    assert np.mean(np.abs(taps - h)[:, OCCUPIED] ** 2) < 0.03
    assert block.items_in() == block.items_out() == 60 and block.items_bypassed() == 0


def test_chunking_and_batches_do_not_matter(gaussian_package):
    rng = np.random.default_rng(8)
    one, two = sync_words(rng)
    y, _, _ = frames(rng, np.array([one, two]), 100, 3, 0.1, (0, 2))
    path = gaussian_package(covariance())
    tags = [flow.tag(i, "mark", float(i)) for i in range(len(y))]
    results = []
    for chunk in (None, 5, 7):
        data, taps, sink = run(diffsem.ofdm_chanest_vcvc(path, one, two, 3), y, True, tags, chunk)
        results.append((data.tobytes(), taps, [t for t in flow.tag_list(sink) if t[1] == "mark"]))
    for data, taps, marks in results[1:]:
        assert data == results[0][0] and marks == results[0][2]
        np.testing.assert_allclose(taps, results[0][1], atol=1e-5)
    # those of a sync word lie on the first data symbol, all others on their own
    assert [m[0] for m in results[0][2][:6]] == [0, 0, 0, 1, 2, 3]


def test_bad_frames_pass_with_least_squares_taps(gaussian_package):
    rng = np.random.default_rng(9)
    one, two = sync_words(rng)
    y, _, _ = frames(rng, np.array([one, two]), 10, 1, 0.1)
    y[3 * 4 + 1, 20] = np.nan  # second sync word of frame 4
    y[3 * 6, 21] = np.inf
    block = diffsem.ofdm_chanest_vcvc(gaussian_package(covariance()), one, two, 1, max_carr_offset=0)
    data, taps, sink = run(block, y)
    assert len(data) == 10 and block.items_bypassed() >= 1
    bypassed = flow.tag_values(sink, "diffsem_bypassed")
    assert 4 in bypassed and bypassed[4]
    assert np.isfinite(taps[[0, 1, 2, 3, 5, 7, 8, 9]]).all()
    stock = run(digital.ofdm_chanest_vcvc(one, two, 1, 0, 0), y)[1]
    np.testing.assert_array_equal(taps[4], stock[4])


def test_stats_come_as_messages():
    rng = np.random.default_rng(10)
    one, two = sync_words(rng)
    y, _, _ = frames(rng, np.array([one, two]), 10, 1, 0.1)
    block = diffsem.ofdm_chanest_vcvc("ls", one, two, 1)
    tb = gr.top_block()
    debug = blocks.message_debug()
    tb.connect(flow.source(tb, y), block, blocks.null_sink(8 * N))
    tb.msg_connect(block, "stats", debug, "store")
    flow.run(tb)
    stats = pmt.to_python(debug.get_message(0))
    assert stats["in"] == stats["out"] + stats["dropped"]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"scheme": "lss"}, "ls"),
        ({"sync_symbol1": []}, "sync_symbol1 is empty"),
        ({"sync_symbol2": [1, 2, 3]}, "sync_symbol2 has 3 values"),
        ({"sync_symbol2": [0] * N}, "zero on all carriers"),
        ({"n_data_symbols": 0}, "n_data_symbols is 0"),
        ({"max_carr_offset": -2}, "max_carr_offset is -2"),
        ({"eq_noise_red_len": -1}, "eq_noise_red_len"),
        ({"noise_var": -1.0}, "noise_var is -1"),
        ({"noise_var": float("nan")}, "noise_var is nan"),
        ({"noise_var": float("inf")}, "noise_var is inf"),
        ({"extra_tags": "some"}, "extra_tags is 'some'"),
        ({"steps": -1}, "steps is -1"),
    ],
)
def test_wrong_parameters_are_named(change, words):
    one, two = sync_words(np.random.default_rng(0))
    good = {"scheme": "ls", "sync_symbol1": one, "sync_symbol2": two, "n_data_symbols": 1}
    with pytest.raises(ValueError, match=words):
        diffsem.ofdm_chanest_vcvc(**{**good, **change})


def as_grid(tmp_path, columns, n=N):
    """A package of tiles [2, columns], the second symbol like the first: one symbol has covariance(n)'s columns."""
    c = np.kron([[1, 0.9], [0.9, 1]], covariance(n)[:columns, :columns])
    return grid.package(tmp_path / "grid", (2, columns), prior=c)


def test_a_grid_s_scheme_takes_one_symbol_as_one_of_its_length_does(gaussian_package, tmp_path):
    """A tile as wide as the FFT: taps and error variances as of the vector, to rounding. And live, both ways."""
    rng = np.random.default_rng(11)
    one, two = sync_words(rng)
    y, _, _ = frames(rng, np.array([one, two]), 40, 2, 0.05, (0, 2))
    vector, tiles = gaussian_package(covariance()), as_grid(tmp_path, N)

    def run_with(scheme, then=None):
        block = diffsem.ofdm_chanest_vcvc(scheme, one, two, 2, extra_tags="error")
        if then:
            block.set_scheme(then)
        data, taps, sink = run(block, y)
        assert block.items_in() == block.items_out() == 40 and block.items_bypassed() == 0
        return data, taps, np.array(list(flow.tag_values(sink, "diffsem_error_var").values()))

    wanted = run_with(vector)
    for got in (run_with(tiles), run_with(vector, tiles), run_with(tiles, vector)):
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-4)


@pytest.mark.parametrize("n", [48, 128, 1024])
def test_a_grid_s_scheme_takes_any_length(tmp_path, n):
    """Under a prior of 32 carriers: far better than least squares, also where the sync word leaves carriers out."""
    rng = np.random.default_rng(12)
    occupied = np.r_[n // 8 : n // 2, n // 2 + 1 : n - n // 8]
    one, _ = sync_words(rng, n, occupied)
    y, h, _ = frames(rng, np.array([one]), 30, 1, 0.1, (0,), n)
    block = diffsem.ofdm_chanest_vcvc(as_grid(tmp_path, 32, n), one, [], 1, max_carr_offset=0, extra_tags="error")
    taps, sink = run(block, y)[1:]
    ls = run(diffsem.ofdm_chanest_vcvc("ls", one, [], 1, max_carr_offset=0), y)[1]
    error = np.array(list(flow.tag_values(sink, "diffsem_error_var").values()))
    found, classical = (np.mean(np.abs(t - h)[:, occupied] ** 2) for t in (taps, ls))
    assert found < 0.6 * classical
    assert np.all(np.isfinite(taps)) and not np.any(np.isnan(error))
    assert 0.7 < np.mean(error[:, occupied]) / found < 1.6
    assert block.items_bypassed() == 0  # tiles beyond the band have nothing to be inferred from


def test_a_grid_s_scheme_is_given_up_whole(tmp_path):
    """With no time the taps are least squares, over all tiles."""
    rng = np.random.default_rng(13)
    one, two = sync_words(rng, 128, np.r_[10:64, 65:119])
    y, _, _ = frames(rng, np.array([one, two]), 50, 1, 0.1, (0,), 128)
    block = diffsem.ofdm_chanest_vcvc(as_grid(tmp_path, 32), one, two, 1, deadline=1e-3, overload="bypass")
    _, taps, sink = run(block, y)
    late = [k for k, v in flow.tag_values(sink, "diffsem_bypassed").items() if v == "deadline"]
    assert len(late) > 20
    ls = run(diffsem.ofdm_chanest_vcvc("ls", one, two, 1), y)[1]
    np.testing.assert_array_equal(taps[late], ls[late])


def test_wrong_fft_length_says_what_to_do(gaussian_package):
    one, two = sync_words(np.random.default_rng(0), 128, np.r_[10:64, 65:119])
    with pytest.raises(ValueError, match=r"made for 64 carriers.* 128 .*'ofdm_grid', which takes any.*'ls'"):
        diffsem.ofdm_chanest_vcvc(gaussian_package(covariance()), one, two, 1)


def test_noise_that_cannot_be_measured_is_refused_before_running(gaussian_package):
    word = np.zeros(N)
    word[20:26] = 1  # six carriers, none empty between: nothing beyond the delay window
    path = gaussian_package(covariance())
    with pytest.raises(ValueError, match="noise_var is 0"):
        diffsem.ofdm_chanest_vcvc(path, word.tolist(), [], 1)
    diffsem.ofdm_chanest_vcvc(path, word.tolist(), [], 1, noise_var=0.1).set_steps(0)


def test_live_parameters_are_checked():
    one, two = sync_words(np.random.default_rng(0))
    block = diffsem.ofdm_chanest_vcvc("ls", one, two, 1)
    block.set_steps(3)
    block.set_eta(0.5)
    block.set_seed(7)
    block.set_noise_var(0.5)
    for bad in (lambda: block.set_steps(-1), lambda: block.set_eta(2), lambda: block.set_noise_var(-1)):
        with pytest.raises(ValueError):
            bad()
