# SPDX-License-Identifier: GPL-3.0-or-later
"""`ofdm_grid_chanest` with the networks that are shipped, on patterns as of LTE and DVB-T: against lines between the
pilots and the robust filter on the same samples; what it must not believe; and several windows in one batch."""

import flow
import grid
import numpy as np
import pytest
from gnuradio import blocks, diffsem, gr
from gr_diffsem.air import grid_channel

N, FRAME, FRAMES = 128, 28, 12
#: With a guard `robust` is made too, which takes seconds.
FULL, FAST = "ofdm_grid/full:guard=off", "ofdm_grid/fast:guard=off"
LTE = diffsem.pilots("lte_crs", resource_blocks=6, cell_id=301)
USED = list(range(-48, 49))
#: Every twelfth carrier, three further in each symbol, 4/3 as strong as data; all about one Gaussian block wide.
DVBT = [([k for k in USED if (k + 48) % 12 == 3 * i], None) for i in range(4)]
DVBT = [(carriers, [4 / 3 * (-1) ** (k // 3) for k in carriers]) for carriers, _ in DVBT]
PATTERNS = {"lte": (LTE, LTE.occupied_carriers), "dvbt": (DVBT, USED)}
NULL = [*range(-60, -52), *range(53, 61)]


def frames(name, snr_db, seed=1, doppler=grid_channel.DOPPLER, frames=FRAMES):
    """(y [frames x 28, 128], H) of frames that each go through a channel of their own."""
    pattern, used = PATTERNS[name]
    rng = np.random.default_rng(seed)
    h = grid_channel.draw(rng, frames, FRAME, N, doppler).response.astype(complex)
    sent = np.stack([grid.sent(rng, pattern, FRAME, used, N) for _ in range(frames)])
    y = h * sent + grid.noise(rng, h.shape, 10 ** (-snr_db / 10))
    return y.reshape(-1, N).astype(np.complex64), h.reshape(-1, N)


def through(name, scheme, y, tags=None, **options):
    """(block, symbols, channel, sink of the symbols)."""
    pattern, used = PATTERNS[name]
    options = {"null_carriers": NULL, "frame_tag": "packet_len", **options}
    block = diffsem.ofdm_grid_chanest(N, used, pattern, scheme, **options)
    if tags is None:
        tags = [flow.tag(i, "packet_len", FRAME) for i in range(0, len(y), FRAME)]
    tb = gr.top_block()
    sinks = [blocks.vector_sink_c(N), blocks.vector_sink_c(N)]
    tb.connect(flow.source(tb, y, tags, None), block)
    for port, sink in enumerate(sinks):
        tb.connect((block, port), sink)
    flow.run(tb, 60)
    out, channel = (np.array(s.data()).reshape(-1, N) for s in sinks)
    return block, out.astype(np.complex64), channel, sinks[0]


def band(name, channel):
    used = PATTERNS[name][1]
    return channel[:, N // 2 + used[0] : N // 2 + used[-1] + 1]


@pytest.mark.parametrize("name", PATTERNS)
def test_the_shipped_networks_are_nearer_than_lines_and_robust(name):
    y, h = frames(name, 10)
    errors = {}
    for member in ("ls", "ofdm_grid/robust", FAST, FULL):
        block, out, channel, _ = through(name, member, y)
        np.testing.assert_array_equal(out, y)
        assert block.items_in() == block.items_out() == len(y) and block.items_dropped() == block.restarts() == 0
        errors[member] = grid.nmse_db(band(name, channel), band(name, h))
    classical = min(errors["ls"], errors["ofdm_grid/robust"])
    assert errors[FULL] < classical - 2, errors
    assert errors[FAST] < classical - 1.5, errors


@pytest.mark.parametrize("name", PATTERNS)
def test_windows_that_wait_are_answered_as_one_by_one(name):
    """Many windows in a batch, or one: the same channel but for rounding, and the same symbols and tags."""
    y, _ = frames(name, 15, frames=6)
    tags = [flow.tag(i, "packet_len", FRAME) for i in range(0, len(y), FRAME)]
    marks = [flow.tag(i, "mark", i) for i in range(0, len(y), 5)]
    _, out, together, sink = through(name, FAST, y, tags + marks)
    alone = []
    for i in range(0, len(y), FRAME):
        alone.append(through(name, FAST, y[i : i + FRAME], tags[:1])[2])
    np.testing.assert_array_equal(out, y)
    assert flow.tag_values(sink, "mark") == {i: i for i in range(0, len(y), 5)}
    np.testing.assert_allclose(together, np.concatenate(alone), atol=2e-2)


@pytest.mark.timing
def test_several_windows_share_a_call_where_they_wait():
    """What was answered in one call has one latency: two windows of eight symbols, or more on a quick machine."""
    y, _ = frames("lte", 15)
    _, out, _, sink = through("lte", FAST, y, [], frame_tag="", tag_items=True)
    latencies = list(flow.tag_values(sink, "diffsem_latency").values())
    calls = np.unique(latencies, return_counts=True)[1]
    assert len(out) == len(y) and np.max(calls) >= 16


def test_symbols_lost_in_the_middle():
    """Three of a frame never came: the next frame's tag says so, a new window begins, the others are as they were."""
    y, h = frames("dvbt", 20, frames=4)
    kept = np.r_[0:40, 43 : len(y)]
    tags = [flow.tag(int(np.flatnonzero(kept == i)[0]), "packet_len", FRAME) for i in range(0, len(y), FRAME)]
    block, out, channel, _ = through("dvbt", FAST, y[kept], tags)
    np.testing.assert_array_equal(out, y[kept])
    assert block.restarts() == 1 and block.items_in() == block.items_out() == len(kept)
    whole = np.r_[0:28, 53 : len(kept)]  # the other frames
    assert grid.nmse_db(band("dvbt", channel)[whole], band("dvbt", h)[kept][whole]) < -15


@pytest.mark.parametrize("policy", ["bypass", "drop"])
def test_too_little_time_for_the_network(policy):
    """Ten times as many symbols as it can infer: given up as the policy says, and counted; in = out + dropped."""
    y, _ = frames("lte", 15, frames=20)
    block, out, channel, sink = through("lte", FAST, y, deadline=5.0, overload=policy)
    assert block.items_in() == len(y) and len(out) == block.items_out() == len(y) - block.items_dropped()
    if policy == "drop":
        assert block.items_dropped() > 0 and block.items_bypassed() == 0
        return
    late = [i for i, why in flow.tag_values(sink, "diffsem_bypassed").items() if why == "deadline"]
    assert len(late) == block.items_bypassed() > 0
    lines = through("lte", "ls", y)[2]
    np.testing.assert_allclose(channel[late], lines[late], atol=1e-5)


def test_doppler_beyond_what_the_prior_knows_is_guarded(monkeypatch):
    """0.3 cycles a symbol, where it knows 0.13, pilots everywhere, behind frames that it knows: the guard gives those
    windows to the fallback, hardly any of the others, and the error stays near the noise."""
    monkeypatch.setitem(PATTERNS, "comb", ([(USED, [1.0] * len(USED))], USED))
    slow, fast = (frames("comb", 25, frames=4, doppler=(f, f * 1.001)) for f in (0.02, 0.3))
    y, h = (np.concatenate(parts) for parts in zip(slow, fast, strict=True))
    block, _, channel, sink = through("comb", "ofdm_grid/full", y)
    guarded = np.array(sorted(flow.tag_values(sink, "diffsem_guarded")))
    assert block.items_guarded() == len(guarded)
    assert np.sum(guarded < len(slow[0])) < 0.1 * len(slow[0]) and np.sum(guarded >= len(slow[0])) > 0.8 * len(fast[0])
    assert grid.nmse_db(band("comb", channel)[len(slow[0]) :], band("comb", h)[len(slow[0]) :]) < -20
