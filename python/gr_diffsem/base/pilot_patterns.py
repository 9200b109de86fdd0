# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a standard's pilots lie, and what they are: for `ofdm_grid_chanest`, and for whoever simulates it.

A pattern is a list with an entry (carriers, values) for each OFDM symbol, again and again; a symbol without pilots has
two empty lists. Carriers are counted from DC, as gr-digital counts them: negative ones lie below it.
"""

import numpy as np

from .errors import UserError, unknown
from .sequences import gold_qpsk, shift_register

# --- IEEE 802.11-2016, clause 17 ------------------------------------------------------------------------------

WIFI_PILOTS = (-21, -7, 7, 21)
WIFI_PILOT_VALUES = (1, 1, 1, -1)  #: before their sign, which is the same for all pilots of a symbol
#: Signs of the pilots, symbol by symbol, again and again: x^7 + x^4 + 1 from all ones, without them (17.3.5.10).
WIFI_PILOT_SIGNS = tuple(int(1 - 2 * bit) for bit in shift_register((4, 7), [1] * 7, 7 + 127)[7:])
#: The long training symbol, carriers -26 .. 26 (17-8).
WIFI_LONG_TRAINING = tuple(
    {"+": 1, "-": -1, "0": 0}[c] for c in "++--++-+-++++++--++-+-++++0+--++-+-+-----++--+-+-++++"
)

# --- ETSI EN 300 744 ------------------------------------------------------------------------------------------

#: Continual pilots among the 1705 carriers of the 2k mode (table 7); 8k has them four times, 1704 carriers apart.
_DVBT_CONTINUAL = (
    *(0, 48, 54, 87, 141, 156, 192, 201, 255, 279, 282, 333, 432, 450, 483, 525, 531, 618, 636, 714, 759, 765, 780),
    *(804, 873, 888, 918, 939, 942, 969, 984, 1050, 1101, 1107, 1110, 1137, 1140, 1146, 1206, 1269, 1323, 1377, 1491),
    *(1683, 1704),
)


class PilotPattern(list):
    """The list of (carriers, values), and what belongs to it.

    fft_len: the usual number of carriers; a longer transform will do as well. occupied_carriers: all that carry
    energy, those of data too, ascending.
    """

    def __init__(self, symbols, fft_len, occupied_carriers):
        super().__init__(([int(k) for k in carriers], [complex(v) for v in values]) for carriers, values in symbols)
        self.fft_len = fft_len
        self.occupied_carriers = [int(k) for k in occupied_carriers]


def _checked(name, value, choices):
    """`value`, if it is one of `choices`, a range or a list of them; UserError."""
    if value in choices:
        return value
    said = f"{choices[0]} .. {choices[-1]}" if isinstance(choices, range) else ", ".join(map(str, choices))
    raise UserError(f"{name} is {value!r}: give {said}")


def _next_power(count):
    return 1 << (int(count) - 1).bit_length()


# --- LTE ------------------------------------------------------------------------------------------------------


def lte_crs(resource_blocks=25, cell_id=0, port=0, extended=False):
    """Cell-specific reference signals of LTE (TS 36.211 6.10.1): a radio frame, 140 symbols, or 120 where the cyclic
    prefix is `extended`.

    resource_blocks: 6 .. 110 (6, 15, 25, 50, 75, 100 are those of 1.4, 3, 5, 10, 15, 20 MHz). cell_id: 0 .. 503.
    port: antenna port, 0 .. 3. DC is left out, as the downlink does.
    """
    blocks = _checked("resource_blocks", resource_blocks, range(6, 111))
    cell = _checked("cell_id", cell_id, range(504))
    _checked("port", port, range(4))
    m = np.arange(2 * blocks)

    def carrier(k):  # 12 for each block, without DC
        return k - 6 * blocks + (k >= 6 * blocks)

    in_slot = 6 if _checked("extended", extended, (False, True)) else 7
    places = [(slot, l) for slot in range(20) for l in ((0, in_slot - 3) if port < 2 else (1,))]
    starts = [(7 * (slot + 1) + l + 1) * (2 * cell + 1) * 2**10 + 2 * cell + (not extended) for slot, l in places]
    symbols = [((), ())] * (20 * in_slot)
    for (slot, l), r in zip(places, gold_qpsk(starts, 2 * 110), strict=True):
        # v of 6.10.1.2: ports 0 and 1 change places at each pilot symbol, 2 and 3 at each slot
        v = 3 * ((port + (l > 0)) % 2 if port < 2 else (port + slot) % 2)
        symbols[in_slot * slot + l] = carrier(6 * m + (v + cell) % 6), r[m + 110 - blocks]
    return PilotPattern(symbols, _next_power(12 * blocks + 1), carrier(np.arange(12 * blocks)))


# --- NR -------------------------------------------------------------------------------------------------------

#: Symbols of a slot behind the first one (table 7.4.1.1.2-3, mapping type A, 14 symbols); of two-symbol pilots below.
_NR_ADDITIONAL = ((), (11,), (7, 11), (5, 8, 11))
_NR_ADDITIONAL_DOUBLE = ((), (10,))


def nr_dmrs(
    resource_blocks=25,
    config_type=1,
    port=0,
    scrambling_id=0,
    n_scid=0,
    first_symbol=2,
    additional=1,
    double=False,
    numerology=0,
    first_block=0,
):
    """Demodulation reference signals of NR's shared downlink channel, mapping type A, slots of 14 symbols (TS 38.211
    7.4.1.1): 140 symbols for each 15 kHz of carrier spacing, a radio frame.

    resource_blocks: 1 .. 275. config_type: 1 (every second carrier) or 2 (two of six). port: the standard's less 1000,
    0 .. 7 of type 1, 0 .. 11 of type 2; of these the first 4 and 6 without `double`. scrambling_id: 0 .. 65535.
    n_scid: 0 or 1. first_symbol: 2 or 3, as the master information says. additional: further places in a slot, 0 .. 3
    (0 .. 1 with `double`, 3 with first_symbol 2 alone). double: two symbols at each place. numerology: 0 .. 4.
    first_block: of the common resource blocks the one where these begin. Power 1, without the standard's boost.
    """
    blocks = _checked("resource_blocks", resource_blocks, range(1, 276))
    _checked("config_type", config_type, (1, 2))
    pairs = 2 if config_type == 1 else 3  # ports that share their carriers
    _checked("port", port, range(2 * pairs * (2 if double else 1)))
    _checked("scrambling_id", scrambling_id, range(1 << 16))
    _checked("n_scid", n_scid, (0, 1))
    _checked("first_symbol", first_symbol, (2, 3))
    further = _NR_ADDITIONAL_DOUBLE if double else _NR_ADDITIONAL
    _checked("additional", additional, range(4 if not double and first_symbol == 2 else 2 if double else 3))
    _checked("numerology", numerology, range(5))
    _checked("first_block", first_block, range(276 - blocks))

    # k = 4 n + 2 k' + delta or 6 n + k' + delta, k' = 0, 1, counted from the first common resource block
    group, step = (4, 2) if config_type == 1 else (6, 1)
    delta = (port // 2) % pairs * (1 if config_type == 1 else 2)
    n = np.arange(12 // group * first_block, 12 // group * (first_block + blocks))
    k = (group * n[:, None] + step * np.arange(2) + delta).ravel()
    frequency_signs = np.array([1, 1 - 2 * (port % 2)])  # w_f
    time_signs = (1, -1 if port >= 2 * pairs else 1)  # w_t
    carriers = k - 12 * first_block - 6 * blocks
    places = [
        (slot, first + i, time_signs[i])
        for slot in range(10 << numerology)
        for first in (first_symbol, *further[additional])
        for i in range(2 if double else 1)
    ]
    identity = 2 * scrambling_id
    starts = [((14 * slot + l + 1) * (identity + 1) * 2**17 + identity + n_scid) % 2**31 for slot, l, _ in places]
    symbols = [((), ())] * (140 << numerology)
    for (slot, l, time_sign), r in zip(places, gold_qpsk(starts, 2 * (n[-1] + 1)), strict=True):
        symbols[14 * slot + l] = carriers, (time_sign * frequency_signs * r.reshape(-1, 2)[n]).ravel()
    return PilotPattern(symbols, _next_power(12 * blocks + 1), np.arange(12 * blocks) - 6 * blocks)


# --- broadcast ------------------------------------------------------------------------------------------------


def _scattered(count, continual, first=0):
    """Four symbols of `count` carriers: a pilot at every twelfth, three carriers further on with each symbol, and those
    of `continual` in all; and all carriers from DC. Carrier k has the value 4/3 (1 - 2 w), w bit `first` + k of a
    register that begins with ones."""
    bits = shift_register((9, 11), [1] * 11, first + count)[first:]
    values = 4 / 3 * (1 - 2 * bits)
    symbols = []
    for l in range(4):
        k = np.union1d(np.arange(3 * l, count, 12), continual).astype(int)
        symbols.append((k - count // 2, values[k]))
    return symbols, np.arange(count) - count // 2


def dvbt(mode="2k"):
    """Scattered and continual pilots of DVB-T (EN 300 744 4.5): 4 symbols. mode: "2k" or "8k".

    Symbol 0 of a frame is the pattern's first. Carriers with transmission parameters are no pilots.
    """
    times = {"2k": 1, "8k": 4}[_checked("mode", mode, ("2k", "8k"))]
    continual = {k + 1704 * i for k in _DVBT_CONTINUAL for i in range(times)}
    symbols, occupied = _scattered(1704 * times + 1, sorted(continual))
    return PilotPattern(symbols, 2048 * times, occupied)


def isdbt(mode=3, segments=13):
    """Scattered pilots of ISDB-T, coherent segments (ARIB STD-B31 3.13): 4 symbols.

    mode: 1, 2 or 3 (108, 216 or 432 carriers in a segment). segments: 13, whose highest carrier is a pilot in all
    symbols; or 1, the middle one, as one-segment receivers take it from the band. Control channels are no pilots.
    """
    _checked("mode", mode, (1, 2, 3))
    _checked("segments", segments, (1, 13))
    segment, fft_len = 108 << (mode - 1), 1024 << mode
    if segments == 13:
        count = 13 * segment + 1
        symbols, occupied = _scattered(count, [count - 1])
        return PilotPattern(symbols, fft_len, occupied)
    symbols, occupied = _scattered(segment, [], 6 * segment)
    return PilotPattern(symbols, fft_len // 8, occupied)


# --- frames ---------------------------------------------------------------------------------------------------


def wifi(symbols=20):
    """A legacy packet of IEEE 802.11, 20 MHz (clause 17): two long training symbols, then `symbols` (1 .. 1400) with
    four pilots each, of which the first is SIGNAL."""
    _checked("symbols", symbols, range(1, 1401))
    band = np.arange(-26, 27)
    used = band[band != 0]
    training = (used, np.array(WIFI_LONG_TRAINING)[band != 0])
    signs = np.take(WIFI_PILOT_SIGNS, np.arange(symbols) % 127)
    data = [(WIFI_PILOTS, sign * np.array(WIFI_PILOT_VALUES)) for sign in signs]
    return PilotPattern([training, training, *data], 64, used)


def gr_digital(sync_words, occupied_carriers, pilot_carriers, pilot_symbols, symbols, fft_len=64):
    """A frame of gr-digital's `ofdm_tx`: sync words, then `symbols` symbols whose pilots go through the sets in turn.

    sync_words: one or two, [fft_len] each, DC in the middle; what is not 0 is a pilot. occupied_carriers,
    pilot_carriers, pilot_symbols: nested lists, as gr-digital takes them. The sets of carriers and of symbols are
    gone through separately, as the allocator does, and carriers above the middle lie below DC.
    """
    _checked("symbols", symbols, range(1, 1 << 20))
    words = [np.asarray(word, complex) for word in sync_words]
    if not 1 <= len(words) <= 2 or any(word.shape != (fft_len,) for word in words):
        sizes = ", ".join(str(word.size) for word in words)
        raise UserError(f"sync_words has words of [{sizes}] values: give one or two, of fft_len = {fft_len} each")
    if not pilot_carriers or not pilot_symbols:
        raise UserError("pilot_carriers or pilot_symbols is empty: give as many sets as ofdm_tx has")
    frame = [(np.flatnonzero(word) - fft_len // 2, word[word != 0]) for word in words]
    for i in range(symbols):
        carriers, values = pilot_carriers[i % len(pilot_carriers)], pilot_symbols[i % len(pilot_symbols)]
        if len(carriers) != len(values):
            raise UserError(
                f"pilot_symbols has {len(values)} values for the {len(carriers)} pilot_carriers of symbol {i}: give "
                "one for each"
            )
        frame.append((_from_dc(carriers, fft_len), values))
    used = [*(carriers for carriers, _ in frame), *(_from_dc(carriers, fft_len) for carriers in occupied_carriers)]
    return PilotPattern(frame, fft_len, sorted(set().union(*used)))


def _from_dc(carriers, fft_len):
    """gr-digital's carriers, of which the upper half may be counted from 0 too."""
    return [k - fft_len if fft_len // 2 <= k < fft_len else k for k in carriers]


PRESETS = {f.__name__: f for f in (lte_crs, nr_dmrs, dvbt, isdbt, wifi, gr_digital)}


def pilots(name, **options):
    """The `PilotPattern` of a name in PRESETS; `options` are those of the function of that name. UserError."""
    if name not in PRESETS:
        raise unknown("pilot pattern", name, PRESETS)
    return PRESETS[name](**options)
