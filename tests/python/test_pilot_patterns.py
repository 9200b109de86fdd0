# SPDX-License-Identifier: GPL-3.0-or-later
"""Pilots of standards, each against the standard's own rule, written here element by element and not as the code is."""

import numpy as np
import pytest
from gr_diffsem.base.errors import UserError
from gr_diffsem.base.pilot_patterns import WIFI_PILOT_SIGNS, pilots
from gr_diffsem.receivers.wifi import wifi_phy, wifi_tables


def gold_bits(start, count):
    """TS 36.211 7.2, bit by bit."""
    one, two = [1] + 30 * [0], [(start >> i) & 1 for i in range(31)]
    for n in range(1600 + count):
        one.append((one[n + 3] + one[n]) % 2)
        two.append((two[n + 3] + two[n + 2] + two[n + 1] + two[n]) % 2)
    return [(one[n + 1600] + two[n + 1600]) % 2 for n in range(count)]


def qpsk(bits, n):
    return ((1 - 2 * bits[2 * n]) + 1j * (1 - 2 * bits[2 * n + 1])) / np.sqrt(2)


def as_dict(entry):
    carriers, values = entry
    assert len(carriers) == len(values) == len(set(carriers))
    return dict(zip(carriers, values, strict=True))


def same(entry, wanted):
    entry = as_dict(entry)
    return entry.keys() == wanted.keys() and all(abs(entry[k] - wanted[k]) < 1e-6 for k in wanted)


@pytest.mark.parametrize("port", range(4))
@pytest.mark.parametrize(("blocks", "cell"), [(6, 0), (25, 301), (100, 503), (15, 5)])
def test_lte_cell_reference(blocks, cell, port):
    pattern = pilots("lte_crs", resource_blocks=blocks, cell_id=cell, port=port)
    assert len(pattern) == 140
    assert pattern.fft_len > 12 * blocks and len(pattern.occupied_carriers) == 12 * blocks
    # v of 6.10.1.2 as its case distinction has it
    for slot in (0, 1, 6, 19):
        for l in range(7):
            if l not in ({0: (0, 4), 1: (0, 4), 2: (1,), 3: (1,)}[port]):
                assert pattern[7 * slot + l] == ([], [])
                continue
            v = {
                (0, True): 0,
                (0, False): 3,
                (1, True): 3,
                (1, False): 0,
                (2, False): 3 * (slot % 2),
                (3, False): 3 + 3 * (slot % 2),
            }[port, l == 0]
            bits = gold_bits(1024 * (7 * (slot + 1) + l + 1) * (2 * cell + 1) + 2 * cell + 1, 440)
            wanted = {}
            for m in range(2 * blocks):
                k = 6 * m + (v + cell % 6) % 6
                below = k < 6 * blocks  # of DC, which is nobody's
                wanted[k - 6 * blocks if below else k - 6 * blocks + 1] = qpsk(bits, m + 110 - blocks)
            assert 0 not in wanted and same(pattern[7 * slot + l], wanted)


NR = (
    {},
    {"config_type": 2, "port": 5, "first_symbol": 3, "additional": 2, "resource_blocks": 11},
    {"port": 3, "scrambling_id": 65535, "n_scid": 1, "additional": 3, "numerology": 1, "first_block": 7},
    {"port": 7, "double": True, "additional": 1},
    {"config_type": 2, "port": 10, "double": True, "additional": 0, "first_block": 3},
)
# (type, port): delta, w_f(1), w_t(1), tables 7.4.1.1.2-1 and -2
NR_PORTS = {
    (1, 0): (0, 1, 1),
    (1, 3): (1, -1, 1),
    (1, 7): (1, -1, -1),
    (2, 5): (4, -1, 1),
    (2, 10): (4, 1, -1),
}
NR_PLACES = {  # (double, first, additional): symbols of a slot, table 7.4.1.1.2-3 and -4, 14 symbols
    (False, 2, 1): [2, 11],
    (False, 3, 2): [3, 7, 11],
    (False, 2, 3): [2, 5, 8, 11],
    (True, 2, 1): [2, 3, 10, 11],
    (True, 2, 0): [2, 3],
}


@pytest.mark.parametrize("options", NR, ids=str)
def test_nr_demodulation_reference(options):
    pattern = pilots("nr_dmrs", **options)
    o = {
        **{"resource_blocks": 25, "config_type": 1, "port": 0, "scrambling_id": 0, "n_scid": 0, "first_symbol": 2},
        **{"additional": 1, "double": False, "numerology": 0, "first_block": 0},
        **options,
    }
    slots, blocks = 10 * 2 ** o["numerology"], o["resource_blocks"]
    assert len(pattern) == 14 * slots and len(pattern.occupied_carriers) == 12 * blocks
    delta, second, later = NR_PORTS[o["config_type"], o["port"]]
    places = NR_PLACES[o["double"], o["first_symbol"], o["additional"]]
    for slot in (0, 1, slots - 1):
        for l in range(14):
            if l not in places:
                assert pattern[14 * slot + l] == ([], [])
                continue
            identity, scid = o["scrambling_id"], o["n_scid"]
            start = (2**17 * (14 * slot + l + 1) * (2 * identity + 1) + 2 * identity + scid) % 2**31
            bits = gold_bits(start, 2 * 6 * (o["first_block"] + blocks))
            time = later if o["double"] and l - 1 in places else 1
            wanted = {}
            for n in range(3 * (o["first_block"] + blocks)):
                for prime in (0, 1):
                    k = 4 * n + 2 * prime + delta if o["config_type"] == 1 else 6 * n + prime + delta
                    k -= 12 * o["first_block"]
                    if 0 <= k < 12 * blocks:
                        wanted[k - 6 * blocks] = qpsk(bits, 2 * n + prime) * (second if prime else 1) * time
            assert same(pattern[14 * slot + l], wanted)


def broadcast_bit(count):
    """w_k of both broadcast standards, by a register of 11 stages that gives its last one."""
    stages, out = [1] * 11, []
    for _ in range(count):
        out.append(stages[10])
        stages = [stages[10] ^ stages[8], *stages[:10]]
    return out


@pytest.mark.parametrize(
    ("mode", "last", "fft", "continual", "each"), [("2k", 1704, 2048, 45, 176), ("8k", 6816, 8192, 177, 701)]
)
def test_dvbt(mode, last, fft, continual, each):
    """EN 300 744 4.5: k = k_min + 3 (l mod 4) + 12 p, boosted; 45 and 177 continual ones; 1512 and 6048 carriers of
    data and 17 and 68 of parameters are left in each symbol."""
    pattern, w = pilots("dvbt", mode=mode), broadcast_bit(last + 1)
    assert len(pattern) == 4 and pattern.fft_len == fft and len(pattern.occupied_carriers) == last + 1
    always = set.intersection(*(set(carriers) for carriers, _ in pattern))
    assert len(always) == continual
    for l, entry in enumerate(pattern):
        got = as_dict(entry)
        assert {3 * l + 12 * p - last // 2 for p in range(last) if 3 * l + 12 * p <= last} <= got.keys()
        assert set(got) - always <= {3 * l + 12 * p - last // 2 for p in range(last)} and len(got) == each
        assert all(abs(v - 4 / 3 * 2 * (0.5 - w[k + last // 2])) < 1e-6 for k, v in got.items())
    assert [k + last // 2 for k in sorted(always)][:6] == [0, 48, 54, 87, 141, 156] and last // 2 in always


@pytest.mark.parametrize("mode", [1, 2, 3])
def test_isdbt(mode):
    """ARIB STD-B31 3.13: a scattered pilot on every twelfth carrier of a segment; the highest carrier of the band."""
    pattern = pilots("isdbt", mode=mode)
    segment = 108 * 2 ** (mode - 1)
    last, w = 13 * segment, broadcast_bit(13 * segment + 1)
    assert pattern.fft_len == 2048 * 2 ** (mode - 1) and len(pattern.occupied_carriers) == last + 1
    for l, entry in enumerate(pattern):
        wanted = {k: w[k] for k in range(last) if k % 12 == 3 * l} | {last: w[last]}
        assert same(entry, {k - last // 2: 4 / 3 * (1 - 2 * bit) for k, bit in wanted.items()})
    one = pilots("isdbt", mode=mode, segments=1)
    assert one.fft_len == pattern.fft_len // 8 and len(one.occupied_carriers) == segment
    for whole, middle in zip(pattern, one, strict=True):  # the middle segment lies around DC in both
        inside = {k: v for k, v in as_dict(whole).items() if -segment // 2 <= k < segment // 2}
        assert same(middle, inside) and len(inside) == segment // 12


def test_wifi_is_what_the_receiver_of_recordings_knows():
    pattern = pilots("wifi", symbols=130)
    assert len(pattern) == 132 and pattern.fft_len == 64 and len(pattern.occupied_carriers) == 52
    for entry in pattern[:2]:
        assert same(entry, {k - 32: v for k, v in enumerate(wifi_tables.LTF) if v})
    polarity = wifi_phy.pilot_polarity(130)
    for i, entry in enumerate(pattern[2:]):
        assert same(entry, dict(zip((-21, -7, 7, 21), polarity[i] * np.array([1, 1, 1, -1]), strict=True)))
    # (17-25), from its beginning, and where it begins again
    assert WIFI_PILOT_SIGNS[:16] == (1, 1, 1, 1, -1, -1, -1, 1, -1, -1, -1, -1, 1, 1, -1, 1)
    assert len(WIFI_PILOT_SIGNS) == 127 and pattern[2] == pattern[129]


def test_frames_of_gr_digital():
    words = [[0, 1.4, 0, -1.4, 0, 1.4, 0, 0], [0, 1, -1, 1, 0, 1, 1, 0]]
    pattern = pilots(
        "gr_digital",
        sync_words=words,
        occupied_carriers=[[-3, -1, 1], [5, 7, 1]],
        pilot_carriers=[[2, -2]],
        pilot_symbols=[[1, -1], [1j, 1]],
        symbols=3,
        fft_len=8,
    )
    assert pattern[0] == ([-3, -1, 1], [1.4, -1.4, 1.4])
    assert pattern[1] == ([-3, -2, -1, 1, 2], [1, -1, 1, 1, 1])
    assert pattern[2:] == [([2, -2], [1, -1]), ([2, -2], [1j, 1]), ([2, -2], [1, -1])]
    assert pattern.occupied_carriers == [-3, -2, -1, 1, 2]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("lte_crss", {}, "did you mean 'lte_crs'"),
        ("lte_crs", {"resource_blocks": 5}, "resource_blocks is 5: give 6 .. 110"),
        ("lte_crs", {"cell_id": 504}, "cell_id is 504"),
        ("lte_crs", {"port": 4}, "port is 4"),
        ("nr_dmrs", {"config_type": 3}, "config_type is 3: give 1, 2"),
        ("nr_dmrs", {"port": 4}, "port is 4: give 0 .. 3"),
        ("nr_dmrs", {"port": 8, "double": True}, "port is 8: give 0 .. 7"),
        ("nr_dmrs", {"first_symbol": 3, "additional": 3}, "additional is 3: give 0 .. 2"),
        ("nr_dmrs", {"resource_blocks": 270, "first_block": 6}, "first_block is 6: give 0 .. 5"),
        ("dvbt", {"mode": "4k"}, "mode is '4k': give 2k, 8k"),
        ("isdbt", {"segments": 3}, "segments is 3: give 1, 13"),
        ("wifi", {"symbols": 0}, "symbols is 0"),
    ],
)
def test_what_a_standard_has_not_is_refused(name, options, words):
    with pytest.raises(UserError, match=words):
        pilots(name, **options)


def test_frames_that_do_not_fit_are_refused():
    frame = {
        "sync_words": [[0, 1, 1, 0]],
        "occupied_carriers": [[-1]],
        "pilot_carriers": [[1]],
        "pilot_symbols": [[1]],
        "symbols": 2,
        "fft_len": 4,
    }
    for change, words in (
        ({"sync_words": [[1, 1]]}, r"words of \[2\] values"),
        ({"sync_words": []}, "one or two"),
        ({"pilot_symbols": [[1, 1]]}, "2 values for the 1 pilot_carriers of symbol 0"),
        ({"pilot_carriers": []}, "is empty"),
        ({"symbols": 0}, "symbols is 0"),
    ):
        with pytest.raises(UserError, match=words):
            pilots("gr_digital", **{**frame, **change})
