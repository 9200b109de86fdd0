# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames through the whole chain: semantic_tx, an air with offset, fading and noise, semantic_rx. Needs GNU Radio.

Nothing is told to the receiver: it finds the frames, estimates offset, channel and noise, and reads the headers.
"""

import time

import numpy as np

from ..codec import frame_header, frames

LIMIT = 120  #: seconds for one flowgraph
PAPR_DB = 8.0  #: of the transmitter's clipping
MAX_OFFSET = 0.5  #: of the carrier, in carrier spacings


def to_pdu(frame):
    """frames.Frame -> PDU for semantic_tx."""
    import pmt

    about = pmt.make_dict()
    for name in frame_header.FIELDS:
        about = pmt.dict_add(about, pmt.intern(name), pmt.from_long(getattr(frame.header, name)))
    return pmt.cons(about, pmt.init_c32vector(frame.symbols.size, frame.symbols.tolist()))


def from_pdu(message):
    """PDU of semantic_rx -> frames.Received."""
    import pmt

    about = pmt.to_python(pmt.car(message))
    symbols = np.array(pmt.c32vector_elements(pmt.cdr(message)), np.complex64)
    fields = {name: about[name] for name in frame_header.FIELDS}
    return frames.Received(frame_header.Header(**fields), symbols, np.asarray(about["noise_var"], np.float32))


def transmit(sent):
    """Frames -> list of complex64 arrays, the samples of each, mean power about 1."""
    import pmt
    from gnuradio import blocks, diffsem, gr

    from ..codec.frame_layout import Layout

    form = Layout()
    lengths = [(2 + form.header_symbols + f.symbols.size // len(form.data)) * form.symbol for f in sent]
    tb = gr.top_block("semantic_tx")
    tx, sink = diffsem.semantic_tx(papr_db=PAPR_DB), blocks.vector_sink_c()
    tb.connect(tx, sink)
    for frame in sent:
        tx.mapper.to_basic_block()._post(pmt.intern("frames"), to_pdu(frame))
    tb.start()  # messages have no end: what is to come is counted
    end = time.monotonic() + LIMIT
    while len(sink.data()) < sum(lengths) and time.monotonic() < end:
        time.sleep(0.02)
    tb.stop()
    tb.wait()
    if len(sink.data()) < sum(lengths):
        raise RuntimeError(f"semantic_tx: {len(sink.data())} of {sum(lengths)} samples within {LIMIT} s")
    return np.split(np.array(sink.data(), np.complex64), np.cumsum(lengths)[:-1])


def receive(samples):
    """Samples -> list of frames.Received, in the order of their coming."""
    from gnuradio import blocks, diffsem, gr

    from .flowgraph import run_limited

    tb = gr.top_block("semantic_rx")
    rx, store = diffsem.semantic_rx(), blocks.message_debug()
    tb.connect(blocks.vector_source_c(np.asarray(samples, np.complex64).tolist()), rx)
    tb.msg_connect(rx, "pdus", store, "store")
    run_limited(tb, LIMIT)
    return [from_pdu(store.get_message(i)) for i in range(store.num_messages())]


def gnuradio_chain(sent, snr_db, channel, loss, rng):
    """As photo_trials.symbols_chain, sample by sample. Lost frames are not sent."""
    from ..air.sample_channel import send_frames

    kept = [f for f in sent if rng.random() >= loss]
    if not kept:
        return []
    pieces = transmit(kept)
    padded = np.zeros((len(pieces), max(map(len, pieces))), np.complex64)
    for row, piece in zip(padded, pieces, strict=True):
        row[: len(piece)] = piece
    return receive(send_frames(padded, channel, snr_db, rng, max_offset=MAX_OFFSET).noisy)
