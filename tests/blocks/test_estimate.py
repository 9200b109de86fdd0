# SPDX-License-Identifier: GPL-3.0-or-later
"""`estimate` against closed forms, its sources of the noise variance against the truth, and its ports."""

import time

import flow
import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, gr, pdu

N = 64
CP = 16
OCCUPIED = np.r_[6:32, 33:59]


def cnormal(rng, *shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def channel(rng, items, n=N, spread=4.0, taps=12, fractional=False):
    """Unit-power responses in order of frequency, taps on samples or anywhere between."""
    delay = np.sort(rng.uniform(0, taps, (items, 8)), 1) if fractional else np.arange(taps)[None]
    power = np.exp(-delay / spread)
    power /= power.sum(1, keepdims=True)
    a = cnormal(rng, items, delay.shape[1]) * np.sqrt(power)
    k = np.arange(n) - n // 2
    return np.einsum("il,ilk->ik", a, np.exp(-2j * np.pi * delay[:, :, None] * k / n) + 0 * a[:, :, None])


def run(block, y, sizes, tags=(), chunk=None):
    """Through a block with these (type, length) outputs: arrays, and the first sink."""
    tb = gr.top_block()
    tb.connect(flow.source(tb, y, tags, chunk), block)
    sinks = []
    for port, (kind, size) in enumerate(sizes):
        sinks.append(blocks.vector_sink_c(size) if kind == "c" else blocks.vector_sink_f(size))
        tb.connect((block, port), sinks[-1])
    flow.run(tb)
    dtype = {"c": np.complex64, "f": np.float32}
    out = [np.array(s.data(), dtype[k]).reshape(-1, n) for s, (k, n) in zip(sinks, sizes, strict=True)]
    return out, sinks[0]


def covariance(n=N, taps=12, spread=4.0):
    power = np.exp(-np.arange(taps) / spread)
    k = np.arange(n) - n // 2
    basis = np.exp(-2j * np.pi * np.outer(k, np.arange(taps)) / n)
    return (basis * (power / power.sum())) @ basis.conj().T


def lmmse(c, y, seen, noise_var):
    r = c[np.ix_(seen, seen)] + noise_var * np.eye(len(seen))
    gain = np.linalg.solve(r, c[seen]).conj().T
    return y[:, seen] @ gain.T, np.real(np.diag(c) - np.sum(gain * c[:, seen].conj(), 1))


def test_gaussian_scheme_is_lmmse_with_variance_and_baseline(gaussian_package):
    rng = np.random.default_rng(1)
    h = channel(rng, 300)
    y = h + np.sqrt(0.1) * cnormal(rng, 300, N)
    c = covariance()
    block = diffsem.estimate(
        gaussian_package(c),
        noise_var=0.1,
        observed=OCCUPIED.tolist(),
        variance_output=True,
        baseline_output=True,
    )
    (mean, variance, baseline), _ = run(block, y, [("c", N), ("f", N), ("c", N)])
    expected, error = lmmse(c, y, OCCUPIED, 0.1)
    np.testing.assert_allclose(mean, expected, atol=2e-4)
    np.testing.assert_allclose(variance, np.broadcast_to(error, variance.shape), rtol=0.01, atol=1e-5)
    mask = np.isin(np.arange(N), OCCUPIED)
    np.testing.assert_array_equal(baseline, np.where(mask, y, 0).astype(np.complex64))
    assert block.items_in() == block.items_out() == 300 and block.items_bypassed() == 0


def test_the_same_as_the_array_method(gaussian_package):
    rng = np.random.default_rng(2)
    y = (channel(rng, 200) + 0.3 * cnormal(rng, 200, N)).astype(np.complex64)
    scheme = diffsem.scheme(gaussian_package(covariance()))
    mean, variance, info = scheme.estimate(y, 0.09, observed=OCCUPIED)
    for chunk in (None, 1, 17):
        block = diffsem.estimate(scheme, noise_var=0.09, observed=OCCUPIED.tolist(), max_batch=13, variance_output=True)
        (m, v), _ = run(block, y, [("c", N), ("f", N)], chunk=chunk)
        np.testing.assert_allclose(m, mean, atol=1e-5)
        np.testing.assert_allclose(v, variance, rtol=1e-4, atol=1e-6)
    assert not info["bypassed"].any() and (info["noise_var"] == np.float32(0.09)).all()


@pytest.mark.parametrize("gain", [1e-4, 1.0, 3e3])
def test_unknown_gain_scales_through(gaussian_package, gain):
    rng = np.random.default_rng(3)
    h = channel(rng, 100)
    y = h + 0.1 * cnormal(rng, 100, N)
    path = gaussian_package(covariance(), gain="measured")
    block = diffsem.estimate(path, noise_var=0.01 * gain**2, variance_output=True)
    (mean, variance), _ = run(block, gain * y, [("c", N), ("f", N)])
    nmse = np.sum(np.abs(mean / gain - h) ** 2) / np.sum(np.abs(h) ** 2)
    assert nmse < 0.01 * 14 / N
    assert 0.7 < variance.mean() / gain**2 / (nmse + 1e-12) < 1.4


# --- the noise variance ------------------------------------------------------------------------------------


def noises(sink):
    values = flow.tag_values(sink, "diffsem_noise_var")
    return np.array([values[k] for k in sorted(values)])


def blind(noise, y, **options):
    block = diffsem.estimate("ls", noise=noise, item_size=N, tag_items=True, **options)
    _, sink = run(block, y, [("c", N)])
    return noises(sink)


def check_blind(estimates, truth):
    """Unbiased, and within 1 dB of the truth on average in dB and in nearly all single items."""
    db = 10 * np.log10(estimates / truth)
    assert abs(db.mean()) < 0.5 and np.mean(np.abs(db)) < 1.0, (db.mean(), np.mean(np.abs(db)))
    assert abs(estimates.mean() / truth - 1) < 0.05


@pytest.mark.parametrize("snr_db", [-5, 0, 5, 10, 15, 20, 25])
class TestBlindNoise:
    def test_null_carriers(self, snr_db):
        rng = np.random.default_rng(4)
        mask = np.isin(np.arange(N), np.arange(0, N, 3))  # 22 empty
        v = 10 ** (-snr_db / 10)
        y = channel(rng, 300) * ~mask + np.sqrt(v) * cnormal(rng, 300, N)
        check_blind(blind("null_carriers", y, null_carriers=np.flatnonzero(mask).tolist()), v)

    @pytest.mark.parametrize("turn", [0.0, 0.3, 2.0])
    def test_repeated(self, snr_db, turn):
        rng = np.random.default_rng(5)
        v = 10 ** (-snr_db / 10)
        h = channel(rng, 300)
        y = np.stack([h, h * np.exp(1j * turn)], 1) + np.sqrt(v) * cnormal(rng, 300, 2, N)
        for mode, shaped in (("repeated", y.reshape(300, -1)), ("repeated_pairs", y.reshape(600, N))):
            # what is estimated is the mean of the two, with half the noise
            check_blind(2 * blind(mode, shaped, observed=OCCUPIED.tolist()), v)

    @pytest.mark.parametrize("fractional", [False, True])
    @pytest.mark.parametrize("layout", ["all", "wlan", "comb", "narrow"])
    def test_delay_tail(self, snr_db, layout, fractional):
        rng = np.random.default_rng(6)
        n, window = (256, 20) if layout == "narrow" else (N, CP)
        observed = {
            "all": np.arange(N),
            "wlan": OCCUPIED,
            "comb": np.arange(1, N, 2),
            "narrow": np.r_[30:120],
        }[layout]
        taps = {"comb": 7}.get(layout, 15)
        window = {"comb": 8}.get(layout, window)
        v = 10 ** (-snr_db / 10)
        y = channel(rng, 400, n, 4.0, taps, fractional) + np.sqrt(v) * cnormal(rng, 400, n)
        y[:, ~np.isin(np.arange(n), observed)] = 99  # not looked at
        check_blind(diffsem.core.delay_tail_noise(y, observed.tolist(), window), v)
        if n == N:
            check_blind(blind("delay_tail", y, observed=observed.tolist(), delay_window=window), v)


def test_long_spectra_are_cut_into_blocks():
    rng = np.random.default_rng(7)
    n = 1024
    y = channel(rng, 50, n, 20.0, 70, True) + 0.1 * cnormal(rng, 50, n)
    noise = diffsem.core.delay_tail_noise(y, np.r_[100:500, 520:900].tolist(), 72)
    assert abs(noise.mean() / 0.01 - 1) < 0.03


def test_averaging_of_the_noise_steadies_it_and_ignores_bad_items():
    rng = np.random.default_rng(8)
    y = channel(rng, 500) + 0.1 * cnormal(rng, 500, N)
    y[100] = np.nan
    noise = blind("delay_tail", y, delay_window=CP, noise_averaging=0.05)
    good = np.isfinite(noise)
    assert good.sum() == 499
    assert np.std(noise[good][200:]) < 0.3 * np.std(blind("delay_tail", y[:99], delay_window=CP))


def test_without_any_noise_inference_still_runs(gaussian_package):
    h = channel(np.random.default_rng(9), 20)
    block = diffsem.estimate(gaussian_package(covariance()), noise="delay_tail", delay_window=CP)
    (mean,), _ = run(block, h, [("c", N)])
    assert block.items_bypassed() == 0
    np.testing.assert_allclose(mean, h, atol=1e-2)


def test_noise_from_tags():
    rng = np.random.default_rng(10)
    y = cnormal(rng, 10, N)
    power = np.mean(np.abs(y) ** 2, 1)
    tags = [flow.tag(2, "diffsem_noise_var", 0.5), flow.tag(5, "snr", 10.0), flow.tag(8, "diffsem_noise_var", 0.25)]
    block = diffsem.estimate("ls", noise="tag", noise_var=0.125, item_size=N, tag_items=True, max_batch=3)
    _, sink = run(block, y, [("c", N)], tags)
    mine = {}
    for t in sink.tags():  # what came in passes on too; ours stands on every item
        if pmt.symbol_to_string(t.key) == "diffsem_noise_var":
            mine.setdefault(t.offset, []).append(pmt.to_double(t.value))
    used = [mine[i][-1] if i not in (2, 8) else 0 for i in range(10)]
    np.testing.assert_allclose(used[:2], 0.125)
    np.testing.assert_allclose(used[3:5], 0.5)
    np.testing.assert_allclose(used[5:8], power[5:8] / 11, rtol=1e-5)
    np.testing.assert_allclose(used[9], 0.25)
    assert 0.5 in mine[2] and 0.25 in mine[8]


def test_own_tag_key_and_strange_values_are_ignored():
    tags = [flow.tag(0, "n", 0.5), flow.tag(1, "n", pmt.intern("no number")), flow.tag(2, "snr", pmt.PMT_NIL)]
    block = diffsem.estimate("ls", noise="tag", noise_tag="n", item_size=4, tag_items=True)
    _, sink = run(block, np.ones((4, 4)), [("c", 4)], tags)
    np.testing.assert_allclose(noises(sink), 0.5)


# --- what goes wrong at run time ---------------------------------------------------------------------------


def test_bad_items_pass_marked_and_counted(gaussian_package):
    rng = np.random.default_rng(11)
    y = channel(rng, 40) + 0.1 * cnormal(rng, 40, N)
    y[3, 7], y[5, 0], y[9] = np.nan, np.inf, complex(0, -np.inf)
    tags = [
        flow.tag(20 + i, "diffsem_noise_var", v) for i, v in enumerate((0.0, -1.0, float("nan"), float("inf"), 0.01))
    ]
    block = diffsem.estimate(
        gaussian_package(covariance()), noise="tag", noise_var=0.01, tag_items=True, variance_output=True
    )
    (mean, _), sink = run(block, y, [("c", N), ("f", N)], tags)
    bypassed = flow.tag_values(sink, "diffsem_bypassed")
    assert sorted(bypassed) == [3, 5, 9, 20, 21, 22, 23]
    assert all(bypassed.values())
    assert len(mean) == 40 and block.items_bypassed() == 7
    np.testing.assert_array_equal(mean[20], y[20].astype(np.complex64))
    good = [i for i in range(40) if i not in bypassed]
    assert np.isfinite(mean[good]).all()
    steps = flow.tag_values(sink, "diffsem_steps")
    assert [steps[i] for i in (3, 4)] == [0, 1]


def test_every_item_is_tagged_on_request_and_input_tags_stay():
    y = np.ones((30, 4))
    marks = [flow.tag(i, "mark", float(i)) for i in (0, 7, 29)]
    block = diffsem.estimate("ls", noise="repeated_pairs", item_size=4, tag_items=True)
    _, sink = run(block, y, [("c", 4)], marks)
    for key in ("diffsem_steps", "diffsem_noise_var", "diffsem_latency"):
        assert sorted(flow.tag_values(sink, key)) == list(range(15))
    assert all(0 <= v < 10 for v in flow.tag_values(sink, "diffsem_latency").values())
    assert sorted(flow.tag_values(sink, "mark")) == [0, 3, 14]
    block = diffsem.estimate("ls", item_size=4)
    _, sink = run(block, y, [("c", 4)], marks)
    assert [t[0] for t in flow.tag_list(sink)] == [0, 7, 29]


def test_an_odd_item_of_a_pair_does_not_stall():
    (mean,), _ = run(diffsem.estimate("ls", noise="repeated_pairs", item_size=4), np.ones((7, 4)), [("c", 4)])
    assert len(mean) == 3


def test_one_item_is_answered_at_once():
    """Nothing is held back until more has come."""
    tb = gr.top_block()
    block, sink = diffsem.estimate("ls", item_size=4, max_batch=64), blocks.vector_sink_c(4)
    source = pdu.pdu_to_tagged_stream(gr.types.complex_t, "packet_len")
    vector = blocks.stream_to_vector(gr.sizeof_gr_complex, 4)
    tb.connect(source, vector, block, sink)
    tb.start()
    message = pmt.cons(pmt.make_dict(), pmt.init_c32vector(4, [1, 2, 3, 4]))
    source.to_basic_block()._post(pmt.intern("pdus"), message)
    deadline = time.monotonic() + 20
    while not sink.data() and time.monotonic() < deadline:
        time.sleep(0.01)
    tb.stop()
    tb.wait()
    assert list(sink.data()) == [1, 2, 3, 4]


def test_stats_come_as_messages():
    tb = gr.top_block()
    block = diffsem.estimate("ls", item_size=4)
    debug = blocks.message_debug()
    tb.connect(flow.source(tb, np.ones((10, 4))), block, blocks.null_sink(32))
    tb.msg_connect(block, "stats", debug, "store")
    flow.run(tb)
    stats = pmt.to_python(debug.get_message(0))
    assert stats["in"] == stats["out"] + stats["dropped"] and stats["calls"] >= 1


# --- matrices ----------------------------------------------------------------------------------------------


def test_matrix_scheme_takes_m_and_gives_n(gaussian_package):
    rng = np.random.default_rng(12)
    n, m = 8, 5
    root = cnormal(rng, n, n)
    c = root @ root.conj().T / n
    a = cnormal(rng, m, n)
    x = cnormal(rng, 200, n) @ np.linalg.cholesky(c).T
    y = x @ a.T + 0.2 * cnormal(rng, 200, m)
    path = gaussian_package(c, matrix=a)
    gain = c @ a.conj().T @ np.linalg.inv(a @ c @ a.conj().T + 0.04 * np.eye(m))
    for given in (None, a):
        block = diffsem.estimate(path, noise_var=0.04, matrix=given)
        (mean,), _ = run(block, y, [("c", n)])
        np.testing.assert_allclose(mean, y @ gain.T, atol=2e-3)


# --- parameters --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, words",
    [
        ({"scheme": "lss"}, "ls"),
        ({"item_size": 0}, "item_size is 0"),
        ({"noise": "guess"}, "noise is 'guess'.*delay_tail"),
        ({"noise_var": 0.0}, "noise_var is 0"),
        ({"noise_var": -1.0}, "noise_var is -1"),
        ({"noise_var": float("nan")}, "noise_var is nan"),
        ({"noise": "tag", "noise_tag": ""}, "noise_tag is empty"),
        ({"noise": "null_carriers"}, "null_carriers is empty"),
        ({"null_carriers": [64]}, "null_carriers: index 64"),
        ({"null_carriers": [1, 1]}, "null_carriers: index 1 is given twice"),
        ({"observed": [-1]}, "observed: index -1"),
        ({"observed": [1, 2], "null_carriers": [2]}, "index 2 is also in observed"),
        ({"noise": "delay_tail", "delay_window": 65}, "delay_window is 65"),
        ({"noise": "delay_tail", "delay_window": 60}, "delay window of 60"),
        ({"noise_averaging": 0}, "noise_averaging is 0"),
        ({"max_batch": 0}, "max_batch is 0"),
        ({"steps": -1}, "steps is -1"),
        ({"eta": 2}, "eta is 2"),
        ({"matrix": np.ones((2, 7))}, "matrix has 14 values"),
    ],
)
def test_wrong_parameters_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        diffsem.estimate(**{"scheme": "ls", "item_size": N, **change})


def test_vector_length_that_does_not_fit(gaussian_package):
    path = gaussian_package(covariance())
    with pytest.raises(ValueError, match="item_size is 32.*made for 64"):
        diffsem.estimate(path, item_size=32)
    tb = gr.top_block()
    with pytest.raises(ValueError, match="itemsize mismatch"):
        tb.connect(blocks.null_source(8 * 32), diffsem.estimate(path))


def test_live_parameters():
    block = diffsem.estimate("ls", item_size=4)
    for call in (
        lambda: block.set_steps(-1),
        lambda: block.set_eta(1.5),
        lambda: block.set_noise_var(0),
        lambda: block.set_noise_var(float("inf")),
    ):
        with pytest.raises(ValueError):
            call()
    block.set_steps(2)
    block.set_eta(-1)
    block.set_seed(2**63)
    block.set_tag_items(True)
    block.set_noise_var(0.7)
    _, sink = run(block, np.ones((3, 4)), [("c", 4)])
    np.testing.assert_allclose(noises(sink), 0.7)
