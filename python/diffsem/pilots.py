# SPDX-License-Identifier: GPL-3.0-or-later
"""Pilot patterns by name, for `ofdm_grid_chanest`."""


def pilots(name, **options):
    """The pilots of a standard: a list with an entry (carriers, values) for each OFDM symbol, again and again.

    name and options, each with what it is when it is left out:

    - ``"lte_crs"``: resource_blocks=25, cell_id=0, port=0
    - ``"nr_dmrs"``: resource_blocks=25, config_type=1, port=0, scrambling_id=0, n_scid=0, first_symbol=2, additional=1,
      double=False, numerology=0, first_block=0
    - ``"dvbt"``: mode="2k" (or "8k")
    - ``"isdbt"``: mode=3, segments=13 (or 1)
    - ``"wifi"``: symbols=20, those behind the two long training symbols
    - ``"gr_digital"``: sync_words, occupied_carriers, pilot_carriers, pilot_symbols, symbols, fft_len=64, as
      `ofdm_tx` has them

    Carriers are counted from DC. The list also has ``fft_len``, the usual one, and ``occupied_carriers``. Raises
    ValueError naming the parameter, its value and the remedy.
    """
    from gr_diffsem.base import errors, pilot_patterns

    try:
        return pilot_patterns.pilots(name, **options)
    except errors.UserError as e:
        raise ValueError(str(e)) from None
