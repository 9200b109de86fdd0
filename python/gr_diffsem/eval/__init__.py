# SPDX-License-Identifier: GPL-3.0-or-later
"""What the receivers and schemes are worth. GNU Radio is imported inside functions only.

``gr-diffsem eval ofdm_link``, a simulated OFDM link of stock gr-digital and gr-fec, except for the parts under test:

* ``phy/packet_frame``          what a packet looks like: carriers, sync words, interleaver
* ``link_transmitter``          payload bytes -> baseband samples, through stock blocks
* ``air/sample_channel``        TDL paths of each packet, noise, carrier offset: pure NumPy, seeded
* ``link_sync``                 ideal, or the stock Schmidl & Cox detector: where each packet begins
* ``link_receiver``             what follows the detector, one flowgraph a method, all over the same samples
* ``link_demux``                the same behind the stock header_payload_demux
* ``link_estimates``            channel estimates that no block can know: the true channel, genie LMMSE
* ``link_measure``              NMSE, SINR loss, PER and their intervals
* ``link_scores``, ``ofdm_link``  the configurations, their scores; the command
* ``link_throughput``           samples a second of a whole receiver, with and without our parts

``semantic_link`` (photographs): ``photo_trials`` sends them by every method, ``webp_link`` is the classical one,
``sample_chain`` the way through GNU Radio. ``video`` (moving pictures): ``video_trials``, and ``coded_video``, the
classical way. ``semantic_sync``: its preamble and headers alone. ``wifi_eval``: channel estimates on recordings;
``lte_eval``: the same on an LTE downlink. ``scheme_eval``: the claims of any scheme.
"""
