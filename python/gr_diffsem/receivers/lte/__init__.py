# SPDX-License-Identifier: GPL-3.0-or-later
"""The LTE downlink on recordings: a receiver of what every cell sends, and a base station to test it with.

Modules, in the order the data takes:

* ``lte_capture``    a recording on disk -> complex samples at any rate that suits
* ``lte_search``     samples at 1.92 MS/s -> cells: identity, prefix, frame timing, carrier offset
* ``lte_frontend``   a cell -> symbols over carriers, reference signals on their lattice; offset, clock and timing
* ``lte_pbch``       the broadcast channel and its master information, both ways
* ``lte_receiver``   all of these: a recording -> its cell, bandwidth, frame number and grid
* ``lte_simulate``   recordings made by a base station of our own

``lte_tables`` holds the standard's constants; reference signals are ``base.pilot_patterns.lte_crs``, the code is
``phy.tail_biting``. ``eval/lte_eval.py`` compares channel estimates: ``gr-diffsem eval lte``.

Conventions used everywhere here:

* Carriers are in ascending frequency without DC, 12 a resource block; a narrow recording has those about DC.
* The FFT is unitary, so a noise variance per sample is also the noise variance per carrier.
* Transforms begin ``lte_frontend.ADVANCE`` of a symbol before the first path, so all delays are positive.
* Bits are ``uint8`` arrays in transmission order; soft values are positive for bit 0.
"""
