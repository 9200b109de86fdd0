# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel over time and frequency: against closed forms, with frames, gaps, bad symbols and too little time."""

import flow
import grid
import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, gr, pdu
from grid import COLUMNS, FIRST, USED, N

COMB = [(list(range(-8, 9, 2))[:4] + [1, 2, 4, 6, 8], [1.0] * 9)]
#: Scattered, as broadcast has it: every eighth carrier, shifted by two.
SCATTERED = [[k for k in range(-8 + 2 * i, 9, 8) if k] for i in range(4)]
SCATTERED = [(carriers, [(1 + 1j) / np.sqrt(2) if k % 4 else 1.5 for k in carriers]) for carriers in SCATTERED]
NULL = [-15, -14, -13, -12, 12, 13, 14, 15]


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    """A package of tiles [16, 17]: as wide as the grid, so that one tile covers it."""
    return grid.package(tmp_path_factory.mktemp("grids") / "exact")


def run(block, received, tags=(), error=True, chunk=None, seconds=30):
    """(symbols, channel, error variance or None, sink of the symbols with their tags)."""
    received = np.asarray(received, np.complex64)
    n = received.shape[1]
    tb = gr.top_block()
    sinks = [blocks.vector_sink_c(n), blocks.vector_sink_c(n), blocks.vector_sink_f(n)]
    tb.connect(flow.source(tb, received, tags, chunk), block)
    for port, sink in enumerate(sinks[: 3 if error else 2]):
        tb.connect((block, port), sink)
    flow.run(tb, seconds)
    out = [np.array(s.data()).reshape(-1, n) for s in sinks]
    return out[0].astype(np.complex64), out[1], out[2] if error else None, sinks[0]


def reception(seed, pattern, symbols, variance, **statistics):
    """(y, H) of one stretch of fading."""
    rng = np.random.default_rng(seed)
    h = grid.channels(rng, symbols, **statistics)
    y = h * grid.sent(rng, pattern, symbols) + grid.noise(rng, (symbols, N), variance)
    return y.astype(np.complex64), h


def measured(y, pattern, variance, first=0):
    """Least squares [symbols, columns] and its noise, infinite without a pilot; the pattern counted from `first`."""
    taps, noise_var = np.zeros((len(y), COLUMNS), complex), np.full((len(y), COLUMNS), np.inf)
    for i, symbol in enumerate(y):
        carriers, values = pattern[(first + i) % len(pattern)]
        at = np.array(carriers) + 8
        taps[i, at] = symbol[at + FIRST] / np.array(values)
        noise_var[i, at] = variance / np.abs(values) ** 2
    return taps, noise_var


def inside(channel):
    return channel[:, FIRST : FIRST + COLUMNS]


PRIOR = np.kron(grid.time_covariance(16), grid.frequency_covariance(COLUMNS)) + 1e-4 * np.eye(16 * COLUMNS)


@pytest.mark.parametrize(("latency", "hop", "ahead"), [(-1, 8, 4), (0, 1, 0), (3, 2, 2)])
@pytest.mark.parametrize("pattern", [COMB, SCATTERED], ids=["comb", "scattered"])
def test_each_window_gives_the_exact_mean(prior, pattern, latency, hop, ahead):
    """With a Gaussian prior as large as the grid: linear MMSE from the last 16 symbols, `hop` answers at a time."""
    y, h = reception(1, pattern, 41, 0.05)
    block = diffsem.ofdm_grid_chanest(N, USED, pattern, prior + ":guard=off", latency=latency, noise_var=0.05)
    out, channel, error, _ = run(block, y)
    np.testing.assert_array_equal(out, y)
    assert len(channel) == 41 and block.items_in() == block.items_out() == 41 and block.restarts() == 0
    assert np.all(channel[:, :FIRST] == 0) and np.all(channel[:, FIRST + COLUMNS :] == 0)
    assert np.all(np.isinf(error[:, :FIRST])) and np.all(np.isfinite(inside(error)))
    given = 0
    while given < 41:
        end = min(given + hop + ahead, 41)
        count = hop if end - given == hop + ahead else end - given
        from_ = max(given - (16 - hop - ahead), 0)  # room is left for as many as a whole window answers
        taps, noise_var = measured(y[from_:end], pattern, 0.05, from_)
        lost = 16 - len(taps)  # rows that have not come are not measured
        taps, noise_var = (
            np.pad(taps, ((0, lost), (0, 0))),
            np.pad(noise_var, ((0, lost), (0, 0)), constant_values=np.inf),
        )
        wanted = grid.linear_mmse(taps, noise_var, PRIOR)[given - from_ : given - from_ + count]
        np.testing.assert_allclose(inside(channel)[given : given + count], wanted, atol=2e-3)
        given += count


@pytest.mark.parametrize("pattern", [COMB, SCATTERED], ids=["comb", "scattered"])
def test_error_variance_and_lines(prior, pattern):
    """Over 1,200 symbols: the error is what is said of it, and lines between the pilots are worse."""
    y, h = reception(9, pattern, 1200, 0.05)
    channel, error = run(diffsem.ofdm_grid_chanest(N, USED, pattern, prior, noise_var=0.05), y)[1:3]
    found = np.mean(np.abs(inside(channel) - inside(h)) ** 2)
    assert 0.85 < np.mean(inside(error)) / found < 1.18
    lines = run(diffsem.ofdm_grid_chanest(N, USED, pattern, "ls"), y)[1]
    assert grid.nmse_db(inside(channel), inside(h)) < grid.nmse_db(inside(lines), inside(h)) - 3


@pytest.mark.parametrize("chunk", [1, 3, 17])
def test_chunks_change_nothing(prior, chunk):
    y, _ = reception(2, SCATTERED, 50, 0.1)
    tags = [flow.tag(i, "mark", i) for i in range(0, 50, 3)]

    def once(chunk):
        block = diffsem.ofdm_grid_chanest(N, USED, SCATTERED, prior, null_carriers=NULL)
        out, channel, error, sink = run(block, y, tags, chunk=chunk)
        return out, channel, error, flow.tag_list(sink)

    for a, b in zip(once(None), once(chunk), strict=True):
        if isinstance(a, list):
            assert a == b
        else:  # rounding depends on how many windows share a batch
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_tags_stay_with_their_symbols_on_every_output(prior):
    y, _ = reception(3, COMB, 37, 0.1)
    tags = [flow.tag(i, "mark", i) for i in range(37)]
    block = diffsem.ofdm_grid_chanest(N, USED, COMB, prior, latency=5, noise_var=0.1)
    tb = gr.top_block()
    sinks = [blocks.vector_sink_c(N), blocks.vector_sink_c(N), blocks.vector_sink_f(N)]
    tb.connect(flow.source(tb, y, tags), block)
    for port, sink in enumerate(sinks):
        tb.connect((block, port), sink)
    flow.run(tb)
    for sink in sinks:
        assert flow.tag_values(sink, "mark") == {i: i for i in range(37)}


@pytest.mark.parametrize("variance", [0.3, 0.003])
@pytest.mark.parametrize("source", [{"null_carriers": [-60, -59, -58, 58, 59, 60]}, {}, {"delay_window": 6.0}], ids=str)
def test_noise_is_measured(source, variance):
    """On empty carriers, or on what the pilots have beyond a short channel."""
    n, used = 128, list(range(-48, 49))
    pattern = [([], []), (used[::4], [2.0] * 25)]
    rng = np.random.default_rng(4)
    h = grid.channels(rng, 400, n, delay=0.002)
    y = h * grid.sent(rng, pattern, 400, used, n) + grid.noise(rng, (400, n), variance)
    block = diffsem.ofdm_grid_chanest(n, used, pattern, "ls", tag_items=True, **source)
    sink = run(block, y)[3]
    found = np.array(list(flow.tag_values(sink, "diffsem_noise_var").values()))
    assert len(found) == 400
    assert 0.95 < found.mean() / variance < 1.1
    assert block.noise_var() == pytest.approx(found[-1])


def test_gain_is_measured_where_the_package_says_so(tmp_path):
    spec = grid.package(tmp_path / "gain", gain="measured")
    y, _ = reception(5, COMB, 48, 0.01)
    for scale in (1e-3, 1e3):
        block = diffsem.ofdm_grid_chanest(N, USED, COMB, spec, noise_var=0.01)
        scaled = diffsem.ofdm_grid_chanest(N, USED, COMB, spec, noise_var=0.01 * scale**2)
        a, b = run(block, y), run(scaled, scale * y)
        np.testing.assert_allclose(b[1] / scale, a[1], atol=1e-3)
        np.testing.assert_allclose(inside(b[2]) / scale**2, inside(a[2]), rtol=1e-2)


def test_tiles_cover_a_wider_band(tmp_path):
    """1024 carriers under a prior of 32: the same covariance, so nearly as good as what is exact within a tile."""
    spec = grid.package(tmp_path / "tile", (8, 32))
    n, used = 1024, [k for k in range(-400, 401) if k]
    pattern = [([k for k in range(-400, 401, 8) if k], None)]
    pattern = [(k, [1.0] * len(k)) for k, _ in pattern]
    rng = np.random.default_rng(6)
    h = grid.channels(rng, 24, n)
    y = h * grid.sent(rng, pattern, 24, used, n) + grid.noise(rng, (24, n), 0.05)
    block = diffsem.ofdm_grid_chanest(n, used, pattern, spec, window=8, noise_var=0.05)
    out, channel, error, _ = run(block, y, seconds=60)
    assert len(out) == 24
    band = slice(n // 2 - 400, n // 2 + 401)
    found = np.mean(np.abs(channel - h)[:, band] ** 2)
    assert np.all(np.isfinite(error[:, band])) and found < np.mean(error[:, band]) < 2 * found
    lines = run(diffsem.ofdm_grid_chanest(n, used, pattern, "ls", window=8), y)[1]
    assert grid.nmse_db(channel[:, band], h[:, band]) < grid.nmse_db(lines[:, band], h[:, band]) - 3


# --- where the pattern begins -----------------------------------------------------------------------------------

FRAME = [(USED, [1.0] * 16), *[([-7, -3, 3, 7], [1.0] * 4)] * 5]  #: a preamble, then four pilots


def test_frames_are_answered_each_for_itself(prior):
    """By their length: whole when their last symbol has come, from their own symbols alone."""
    ys = [reception(10 + i, FRAME, 6, 0.02)[0] for i in range(3)]
    alone = [run(diffsem.ofdm_grid_chanest(N, USED, FRAME, prior, noise_var=0.02, window=16), y)[1] for y in ys]
    tags = [flow.tag(6 * i, "packet_len", 6) for i in range(3)]
    for latency in (-1, 2):
        block = diffsem.ofdm_grid_chanest(
            N, USED, FRAME, prior, noise_var=0.02, frame_tag="packet_len", window=16, latency=latency
        )
        out, channel, _, sink = run(block, np.concatenate(ys), tags)
        np.testing.assert_array_equal(out, np.concatenate(ys))
        assert block.restarts() == 0 and flow.tag_values(sink, "packet_len") == {0: 6, 6: 6, 12: 6}
        if latency < 0:
            np.testing.assert_allclose(channel, np.concatenate(alone), atol=1e-5)


def test_a_frame_does_not_wait_for_the_next(prior):
    """The source sends one frame and then nothing, and does not end."""
    y, _ = reception(20, FRAME, 6, 0.02)
    block = diffsem.ofdm_grid_chanest(N, USED, FRAME, prior, noise_var=0.02, frame_tag="packet_len")
    messages, tb = flow.Messages(), gr.top_block()
    source = pdu.pdu_to_tagged_stream(gr.types.complex_t, "len")
    symbols = blocks.stream_to_vector(gr.sizeof_gr_complex, N)
    tagger = blocks.stream_to_tagged_stream(gr.sizeof_gr_complex, N, 6, "packet_len")
    sink = blocks.vector_sink_c(N)
    tb.connect(source, symbols, tagger, block, sink)
    tb.connect((block, 1), blocks.null_sink(gr.sizeof_gr_complex * N))
    tb.msg_connect((block, "stats"), (messages, "in"))
    tb.start()
    try:
        message = pmt.cons(pmt.PMT_NIL, pmt.init_c32vector(y.size, y.ravel().tolist()))
        source.to_basic_block()._post(pmt.intern("pdus"), message)
        for _ in range(500):
            if block.items_out() == 6:
                break
            flow.time.sleep(0.02)
        assert block.items_out() == 6
    finally:
        tb.stop()
        tb.wait()


def test_symbols_lost_in_the_middle_begin_a_new_window(prior):
    """The tag on the pattern's first symbol comes early: the window begins anew, with its pilots. All come out."""
    y, h = reception(30, SCATTERED, 80, 0.02)
    kept = np.r_[0:33, 36:80]  # symbols 33 to 35 never came
    tags = [flow.tag(int(np.flatnonzero(kept == i)[0]), "frame_start", pmt.PMT_T) for i in range(0, 80, 4)]
    block = diffsem.ofdm_grid_chanest(N, USED, SCATTERED, prior, noise_var=0.02, frame_tag="frame_start")
    out, channel, _, _ = run(block, y[kept], tags)
    np.testing.assert_array_equal(out, y[kept])
    assert block.restarts() == 1 and block.items_in() == block.items_out() == 77
    assert grid.nmse_db(inside(channel), inside(h[kept])) < -12
    # Without the tag the pilots are taken for others, and without a word.
    untold = diffsem.ofdm_grid_chanest(N, USED, SCATTERED, prior + ":guard=off", noise_var=0.02)
    assert grid.nmse_db(inside(run(untold, y[kept])[1]), inside(h[kept])) > -6


@pytest.mark.parametrize(("key", "value", "restarts"), [("rx_time", 1.0, 1), ("diffsem_reset", pmt.PMT_T, 0)])
def test_a_gap_in_time_begins_a_new_window(prior, key, value, restarts):
    """What comes before and behind the tag is answered as if it came alone. At the first symbol it is no gap."""
    y, _ = reception(31, COMB, 20, 0.02)
    make = lambda: diffsem.ofdm_grid_chanest(N, USED, COMB, prior, noise_var=0.02)  # noqa: E731
    alone = np.concatenate([run(make(), y[:9])[1], run(make(), y[9:])[1]])
    block = make()
    channel = run(block, y, [flow.tag(0, key, value), flow.tag(9, key, value)])[1]
    assert block.restarts() == restarts
    np.testing.assert_allclose(channel, alone, atol=1e-6)


def test_a_frame_that_is_shorter_than_it_said_is_counted(prior):
    y, _ = reception(32, FRAME, 10, 0.02)
    tags = [flow.tag(0, "packet_len", 6), flow.tag(4, "packet_len", 6)]
    block = diffsem.ofdm_grid_chanest(N, USED, FRAME, prior, noise_var=0.02, frame_tag="packet_len")
    assert len(run(block, y, tags)[0]) == 10
    assert block.restarts() == 1


# --- bad input, and too little time ------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["ls", "prior"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, complex(0, -np.inf)])
def test_a_symbol_that_is_not_finite_spoils_no_other(prior, scheme, bad):
    y, h = reception(40, COMB, 40, 0.02)
    spoilt = y.copy()
    spoilt[17, 5] = bad
    block = diffsem.ofdm_grid_chanest(N, USED, COMB, prior if scheme == "prior" else scheme, noise_var=0.02)
    out, channel, _, sink = run(block, spoilt)
    assert np.array_equal(out, spoilt, equal_nan=True) and np.all(np.isfinite(channel))
    assert flow.tag_values(sink, "diffsem_bypassed") == {17: "nan"} and block.items_bypassed() == 1
    error = np.mean(np.abs(inside(channel) - inside(h)) ** 2, axis=1)
    assert error[17] < 0.2 and np.all(error[[16, 18]] < 0.2)  # its neighbours say enough


def test_a_prior_that_is_refuted_is_guarded(tmp_path):
    """One that takes the channel for constant over time, where it turns round in 8 symbols."""
    still = np.kron(np.ones((16, 16)), grid.frequency_covariance(COLUMNS)) + 1e-4 * np.eye(16 * COLUMNS)
    spec = grid.package(tmp_path / "still", prior=still)
    y, h = reception(41, COMB, 64, 0.001, doppler=0.06)
    block = diffsem.ofdm_grid_chanest(N, USED, COMB, spec, noise_var=0.001)
    _, channel, _, sink = run(block, y)
    assert block.items_guarded() > 50
    assert set(flow.tag_values(sink, "diffsem_guarded").values()) == {"ls"}
    lines = run(diffsem.ofdm_grid_chanest(N, USED, COMB, "ls"), y)[1]
    assert grid.nmse_db(inside(channel), inside(h)) < grid.nmse_db(inside(lines), inside(h)) + 0.5


@pytest.mark.parametrize("policy", ["bypass", "fewer_steps", "drop", "wait"])
def test_too_little_time(prior, policy):
    """A deadline that cannot be kept: given up as the policy says, and counted. in = out + dropped."""
    y, _ = reception(42, COMB, 200, 0.02)
    tags = [flow.tag(i, "mark", i) for i in range(0, 200, 7)]
    block = diffsem.ofdm_grid_chanest(N, USED, COMB, prior, noise_var=0.02, deadline=1e-3, overload=policy)
    out, channel, _, sink = run(block, y, tags)
    assert block.items_in() == 200 and len(out) == block.items_out() == 200 - block.items_dropped()
    if policy == "drop":
        assert block.items_dropped() > 100
        gaps = flow.tag_values(sink, "diffsem_dropped")
        assert sum(gaps.values()) <= block.items_dropped()
    elif policy == "wait":
        assert block.items_bypassed() == 0
        calm = run(diffsem.ofdm_grid_chanest(N, USED, COMB, prior, noise_var=0.02), y)[1]
        np.testing.assert_allclose(channel, calm, atol=1e-5)  # rounding depends on how many windows share a batch
    else:
        assert block.items_bypassed() > 100
        bypassed = [i for i, why in flow.tag_values(sink, "diffsem_bypassed").items() if why == "deadline"]
        lines = run(diffsem.ofdm_grid_chanest(N, USED, COMB, "ls", noise_var=0.02), y)[1]
        np.testing.assert_allclose(channel[bypassed], lines[bypassed], atol=1e-5)
    if policy != "drop":
        np.testing.assert_array_equal(out, y)
        assert flow.tag_values(sink, "mark") == {i: i for i in range(0, 200, 7)}


@pytest.mark.timing
def test_the_age_of_a_symbol_holds_its_wait_for_later_ones():
    """200 symbols a second, answered 8 at a time when 4 more have come: the first of them waits for 11, 55 ms."""
    y, _ = reception(44, COMB, 120, 0.1)
    block = diffsem.ofdm_grid_chanest(N, USED, COMB, "ls")
    tb = gr.top_block()
    pace = blocks.throttle(gr.sizeof_gr_complex * N, 200)
    pace.set_max_noutput_items(1)
    tb.connect(flow.source(tb, y), pace, block, blocks.null_sink(gr.sizeof_gr_complex * N))
    tb.connect((block, 1), blocks.null_sink(gr.sizeof_gr_complex * N))
    flow.run(tb)
    assert 0.02 < block.age_quantile(0.5) < 0.09
    assert 0.045 < block.age_max() < 0.5


def test_another_scheme_while_it_runs(prior, tmp_path):
    y, _ = reception(43, COMB, 16, 0.02)
    block = diffsem.ofdm_grid_chanest(N, USED, COMB, "ls", noise_var=0.02)
    assert block.model() == "/ls"
    block.set_scheme(prior)
    fresh = diffsem.ofdm_grid_chanest(N, USED, COMB, prior, noise_var=0.02)
    np.testing.assert_array_equal(run(block, y)[1], run(fresh, y)[1])
    assert block.swaps() == 1 and block.model().endswith("/gaussian")
    with pytest.raises(ValueError, match="takes tiles of symbols x carriers"):
        block.set_scheme("ofdm_chanest")
    few = diffsem.ofdm_grid_chanest(N, USED, FRAME[1:], "ls", window=16)
    with pytest.raises(ValueError, match="noise_var is 0"):
        few.set_scheme(prior)


# --- what make() refuses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fft_len": 1}, "fft_len is 1"),
        ({"occupied_carriers": []}, "occupied_carriers is empty"),
        ({"occupied_carriers": [32]}, "carrier 32 lies outside the band of fft_len = 32"),
        ({"pilots": []}, "pilots is empty"),
        ({"pilots": [([], [])]}, "no carrier in any of its 1 symbols"),
        ({"pilots": [([1, 2], [1])]}, "2 carriers and 1 values"),
        ({"pilots": [([1, 1], [1, 1])]}, "carrier 1 is there twice"),
        ({"pilots": [([0], [1])]}, "carrier 0 is not among occupied_carriers"),
        ({"pilots": [([1], [0])]}, "finite and not 0"),
        ({"pilots": [([1], [float("nan")])]}, "finite and not 0"),
        ({"pilots": SCATTERED, "window": 3}, "window is 3 symbols, but the places of pilots repeat after 4"),
        ({"pilots": [*COMB, ([], []), ([], [])], "window": 2, "frame_tag": "f"}, "2 symbols in a row without any"),
        ({"window": 0}, "window is 0"),
        ({"latency": 16}, "latency is 16: give symbols, 0 to 15"),
        ({"noise_var": -1.0}, "noise_var is -1"),
        ({"null_carriers": [1]}, "null_carriers: carrier 1 is also in occupied_carriers"),
        ({"delay_window": 33.0}, "delay_window is 33"),
        ({"pilots": [([-7, 7], [1, 1])]}, "noise_var is 0 .measure it., but no symbol has pilots enough"),
        ({"steps": -1}, "steps is -1"),
        ({"overload": "never"}, "overload is 'never'"),
        ({"scheme": "ofdm_chanest"}, "made for 64 elements; a grid takes tiles of symbols x carriers"),
        ({"scheme": "digits"}, "real data"),
        ({"scheme": "mimo_joint", "noise_var": 1.0}, "cannot be tiled"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, dict) else None,
)
def test_what_cannot_be_is_said_at_once(prior, change, words):
    good = {"fft_len": N, "occupied_carriers": USED, "pilots": COMB, "scheme": prior}
    with pytest.raises(ValueError, match=words):
        diffsem.ofdm_grid_chanest(**{**good, **change})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lte_crs", {"resource_blocks": 6}),
        ("nr_dmrs", {"resource_blocks": 6}),
        ("wifi", {"symbols": 14}),
        ("dvbt", {}),
        ("isdbt", {"mode": 1, "segments": 1}),
    ],
)
def test_every_named_pattern_fits(prior, name, options):
    """The presets, and what the block makes of them: the channel of a flat line, exactly, with its noise measured."""
    pattern = diffsem.pilots(name, **options)
    n, used = pattern.fft_len, pattern.occupied_carriers
    block = diffsem.ofdm_grid_chanest(n, used, pattern, "ls")
    y = (2 - 1j) * grid.sent(np.random.default_rng(50), pattern, 40, used, n)
    _, channel, _, _ = run(block, y)
    band = slice(n // 2 + used[0], n // 2 + used[-1] + 1)
    assert len(channel) == 40
    np.testing.assert_allclose(channel[:, band], 2 - 1j, atol=1e-5)
