# SPDX-License-Identifier: GPL-3.0-or-later
"""IEEE 802.11a/g (legacy OFDM) on recordings: transmitter, receiver and channel-estimator evaluation.

Modules, in the order the data takes:

* ``capture``   a recording on disk -> complex samples at 20 MS/s
* ``sync``      samples -> packets: start, carrier offset
* ``frontend``  packet -> frequency-domain symbols, the two-LTF channel observation
* ``receiver``  symbols + a *given* channel estimate -> PSDU, FCS, EVM
* ``phy``       PSDU -> transmitted symbols and samples (also used to re-encode received packets)
* ``reference`` re-encoded packets -> data-aided reference channel
* ``evaluate``  added noise, every estimator on the same samples, NMSE / EVM / FCS
* ``cli``       ``gr-diffsem eval wifi``

Conventions used everywhere here:

* Carrier arrays have 64 entries in ascending frequency, index ``i`` is carrier ``k = i - 32``.
* The FFT is unitary, so a noise variance per sample is also the noise variance per carrier.
* Transmitted carriers have unit mean power.
* Bits are ``uint8`` arrays in transmission order; log-likelihood ratios are positive for bit 0.
* Clause numbers refer to IEEE Std 802.11-2016.
"""
