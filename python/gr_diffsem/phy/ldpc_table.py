# SPDX-License-Identifier: GPL-3.0-or-later
"""Written by bench/ldpc_table.py, seed 1962: what the LDPC codes (ldpc.py) need."""

# fmt: off
#: (modulation, rate): {Es/N0 in dB: share of packets lost}; AWGN, 3,000 code bits, 320 packets each.
PACKET_ERROR = {
    ('bpsk', '1/2'): {
        -2.5: 1, -2.25: 0.9125, -2: 0.5281, -1.75: 0.1312, -1.5: 0.0156, -1.25: 0,
        -1: 0, -0.75: 0, -0.5: 0, -0.25: 0, 0: 0,
    },
    ('qpsk', '1/2'): {
        0.5: 0.9938, 0.75: 0.8562, 1: 0.6031, 1.25: 0.1438, 1.5: 0.0125, 1.75: 0,
        2: 0, 2.25: 0, 2.5: 0, 2.75: 0, 3: 0,
    },
    ('16qam', '1/2'): {
        5.5: 1, 5.75: 0.9875, 6: 0.8844, 6.25: 0.5594, 6.5: 0.2, 6.75: 0.025,
        7: 0.0031, 7.25: 0, 7.5: 0, 7.75: 0, 8: 0,
    },
    ('bpsk', '3/4'): {
        0.25: 1, 0.5: 0.9938, 0.75: 0.9375, 1: 0.5219, 1.25: 0.1094, 1.5: 0.0094,
        1.75: 0, 2: 0, 2.25: 0, 2.5: 0, 2.75: 0,
    },
    ('qpsk', '3/4'): {
        3.25: 1, 3.5: 0.9938, 3.75: 0.8969, 4: 0.5469, 4.25: 0.1219, 4.5: 0.0062,
        4.75: 0.0031, 5: 0, 5.25: 0, 5.5: 0, 5.75: 0,
    },
    ('16qam', '3/4'): {
        9.25: 1, 9.5: 0.9875, 9.75: 0.9125, 10: 0.6375, 10.25: 0.2312, 10.5: 0.0219,
        10.75: 0, 11: 0, 11.25: 0, 11.5: 0, 11.75: 0,
    },
}
#: rate: bits of information per code bit below which no code word was decoded, and above which every one was (each
#: 0.01 beyond what was seen), AWGN and fading, all modulations.
INFORMATION = {
    '1/2': (0.5381, 0.6158),  # 13152 code words
    '3/4': (0.7699, 0.8231),  # 13152 code words
}
#: Sizes of the circulants that this was found for.
SIZES = (83, 187)
