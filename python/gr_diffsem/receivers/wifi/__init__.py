# SPDX-License-Identifier: GPL-3.0-or-later
"""IEEE 802.11a/g (legacy OFDM) on recordings: a receiver, and a transmitter to test it with.

Modules, in the order the data takes:

* ``wifi_capture``       a recording on disk -> complex samples at 20 MS/s
* ``wifi_sync``          samples -> packets: start, carrier offset
* ``wifi_frontend``      packet -> frequency-domain symbols, the two-LTF channel observation
* ``phase_tracking``     common phase and clock of a packet, from pilots or known symbols
* ``wifi_decoder``       symbols + a *given* channel estimate -> PSDU, FCS, EVM
* ``wifi_finder``        all of these: a whole recording -> its packets
* ``wifi_phy``           PSDU -> transmitted symbols and samples (also used to re-encode received packets)
* ``reference_channel``  re-encoded packets -> data-aided reference channel
* ``wifi_truth``         packets of which everything is known, by a truth file or by reception
* ``wifi_simulate``      recordings made by ``wifi_phy`` and the impairments of ``air``

``wifi_tables`` and ``wifi_bits`` hold the standard's constants, scrambler, interleaver and FCS; layout, constellations,
code and demapper are in ``phy``. ``eval/wifi_eval.py`` compares channel estimates: ``gr-diffsem eval wifi``.

Conventions used everywhere here:

* Carrier arrays have 64 entries in ascending frequency, index ``i`` is carrier ``k = i - 32``.
* The FFT is unitary, so a noise variance per sample is also the noise variance per carrier.
* Transmitted carriers have unit mean power.
* Bits are ``uint8`` arrays in transmission order; log-likelihood ratios are positive for bit 0.
* Clause numbers refer to IEEE Std 802.11-2016.
"""
