# SPDX-License-Identifier: GPL-3.0-or-later
"""`diffsem.pilots` against GNU Radio's own transmitters: what they send where it says that a pilot is."""

import flow
import numpy as np
import pytest
from gnuradio import blocks, diffsem, digital, gr


def sent_by(tb, last, n):
    """Symbols [.., n] that a flowgraph has made."""
    sink = blocks.vector_sink_c(n)
    tb.connect(last, sink)
    flow.run(tb)
    return np.array(sink.data(), np.complex64).reshape(-1, n)


def holds(pattern, symbols, tolerance=1e-3):
    """Every symbol has the pattern's values at its pilots."""
    n = symbols.shape[1]
    for i, symbol in enumerate(symbols):
        carriers, values = pattern[i % len(pattern)]
        assert np.allclose(symbol[np.array(carriers, int) + n // 2], values, atol=tolerance), i


@pytest.mark.parametrize("mode", ["2k", "8k"])
def test_dvbt_as_gr_dtv_sends_it(mode):
    dtv = pytest.importorskip("gnuradio.dtv")
    n, data, which = {"2k": (2048, 1512, dtv.T2k), "8k": (8192, 6048, dtv.T8k)}[mode]
    pilots = dtv.dvbt_reference_signals(
        gr.sizeof_gr_complex, data, n, dtv.MOD_QPSK, dtv.NH, dtv.C1_2, dtv.C1_2, dtv.GI_1_8, which, 1, 0
    )
    rng = np.random.default_rng(1)
    tb = gr.top_block()
    source = blocks.vector_source_c((rng.standard_normal(8 * data) + 0.1j).tolist(), False, data)
    tb.connect(source, pilots)
    sent = sent_by(tb, pilots, n)
    assert len(sent) == 8
    spectra = np.fft.fftshift(np.fft.fft(sent, axis=1), axes=1)
    pattern = diffsem.pilots("dvbt", mode=mode)
    outside = np.setdiff1d(np.arange(n), np.array(pattern.occupied_carriers) + n // 2)
    assert np.abs(spectra[:, outside]).max() < 1e-3 * np.abs(spectra).max()
    at_dc = np.abs(spectra[0, n // 2 + np.array(pattern[0][0])]).mean()  # its transform has a gain of its own
    holds(pattern, spectra / at_dc * 4 / 3)


def test_frames_as_gr_digital_s_allocator_lays_them_out():
    """With several sets of carriers and more of symbols, and a carrier counted from 0."""
    n = 16
    occupied = ((-6, -5, -3, -2, -1, 1, 2, 4, 5), (-6, -5, -4, -2, -1, 1, 2, 3, 6))
    pilot_carriers, pilot_symbols = ((-4, 3), (13, 4)), ((1, -1), (-1, -1), (1j, 1))
    words = [[0, 0, 1, 0, -1, 0, 1, 0, 0, 0, 1, 0, -1, 0, 1, 0], [0, 0, *[1, -1] * 3, 0, *[1, -1] * 3, 0]]
    words = [word[:n] for word in words]
    symbols = 5
    payload = [0.5] * 9 * symbols
    tags = [flow.tag(0, "packet_len", len(payload))]
    source = blocks.vector_source_c(payload, False, 1, tags)
    allocator = digital.ofdm_carrier_allocator_cvc(
        n, occupied, pilot_carriers, pilot_symbols, words, "packet_len", True
    )
    tb = gr.top_block()
    tb.connect(source, allocator)
    sent = sent_by(tb, allocator, n)
    pattern = diffsem.pilots(
        "gr_digital",
        sync_words=words,
        occupied_carriers=occupied,
        pilot_carriers=pilot_carriers,
        pilot_symbols=pilot_symbols,
        symbols=symbols,
        fft_len=n,
    )
    assert len(sent) == len(pattern) == 2 + symbols
    holds(pattern, sent)
    used = np.flatnonzero(np.abs(sent).max(0)) - n // 2
    assert used.tolist() == pattern.occupied_carriers


def test_errors_are_of_the_kind_that_blocks_raise():
    with pytest.raises(ValueError, match="did you mean 'dvbt'"):
        diffsem.pilots("dvb")
    with pytest.raises(ValueError, match="cell_id is 504: give 0 .. 503"):
        diffsem.pilots("lte_crs", cell_id=504)
