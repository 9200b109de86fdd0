# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated OFDM link: stock gr-digital and gr-fec, except for the parts under test.

    frame       what a packet looks like: carriers, sync words, code, interleaver, constellations
    transmit    payload bytes -> baseband samples, through stock blocks
    channel     TDL taps per packet, noise, carrier offset: pure NumPy, seeded
    synchronise ideal, or the stock Schmidl & Cox detector: where each packet begins
    receive     the flowgraphs behind the detector: one per method, all over the same samples
    estimates   channel estimates that no block can know: the true channel, genie LMMSE
    measure     NMSE, SINR loss, PER and their intervals
    evaluate    the configurations of `gr-diffsem eval ofdm_link`
    throughput  samples a second of a whole stock receiver, with and without our parts

GNU Radio is imported inside functions only.
"""
