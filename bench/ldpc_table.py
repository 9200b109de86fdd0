# SPDX-License-Identifier: GPL-3.0-or-later
"""Packet errors of the LDPC codes against Es/N0, and how much information their decoder needs: writes
python/gr_diffsem/phy/ldpc_table.py.

    nice build/env/radio/bin/python bench/ldpc_table.py [--packets 320]

Ten minutes. Real code words through AWGN (3,000 bits), then 2,000 to 4,500 bits with every symbol's own
Rayleigh fade and a fade of the whole, all decoded. Information is what the soft bits of one code word really tell:
1 - mean log2(1 + exp(-L s)), L the log-likelihood ratio of a bit that was sent as s = +1 (0) or -1 (1).
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from gr_diffsem.phy import soft_demap

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "python"))

from gr_diffsem.eval import webp_link  # noqa: E402
from gr_diffsem.phy import ldpc  # noqa: E402

SEED = 1962
SIZES = (83, 125, 187)  # circulants of 1992, 3000, 4488 bits
#: Es/N0 in dB around which the packet error falls, found by trying.
NEAR = {"bpsk": (-1.5, 1.25), "qpsk": (1.5, 4.25), "16qam": (6.5, 10.25)}
STEPS = np.arange(-1, 1.6, 0.25)
MARGIN = 0.01  #: beyond the extremes that were seen


def block(rng, rate, z, modulation, snr_db, fading):
    """(soft bits, sent bits) of one code word."""
    word = ldpc.encode(rng.integers(0, 2, (ldpc.COLUMNS - ldpc.ROWS[rate]) * z, dtype=np.uint8), rate, z)
    padded = np.r_[word, np.zeros(-word.size % webp_link.BITS[modulation], np.uint8)]
    symbols = webp_link.modulate(padded, modulation)
    noise = np.full(symbols.size, 10 ** (-snr_db / 10))
    if fading:
        noise = noise / (rng.exponential(1, symbols.size) * rng.uniform(0.5, 2))
    y = symbols + np.sqrt(noise / 2) * (rng.standard_normal(symbols.size) + 1j * rng.standard_normal(symbols.size))
    return soft_demap.exact(y.astype(np.complex64), noise, webp_link.BITS[modulation])[: word.size], word


def tried(rng, rate, z, modulation, snr_db, fading, packets):
    """(information [packets], whether decoded [packets])."""
    soft, sent = zip(*(block(rng, rate, z, modulation, snr_db, fading) for _ in range(packets)), strict=True)
    bits = np.concatenate([ldpc.decode(np.stack(soft[i : i + 64]), rate, z)[0] for i in range(0, packets, 64)])
    whole = [np.array_equal(b, s[: b.size]) for b, s in zip(bits, sent, strict=True)]
    return [webp_link.information(a, b) for a, b in zip(soft, sent, strict=True)], whole


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=320, help="for each point in AWGN (320)")
    packets = parser.parse_args().packets
    rng = np.random.default_rng(SEED)
    error, need = {}, {}
    for i, (name, rate) in enumerate(webp_link.RATES.items()):
        information, whole = [], []
        for modulation in webp_link.BITS:
            for snr in NEAR[modulation][i] + STEPS:
                got = tried(rng, rate, 125, modulation, snr, False, packets)
                information += got[0]
                whole += got[1]
                error.setdefault((modulation, name), {})[float(snr)] = round(1 - float(np.mean(got[1])), 4)
                print(modulation, name, snr, error[modulation, name][float(snr)], flush=True)
            for z in SIZES:
                for snr in NEAR[modulation][i] + 2.5 + 2.25 * i + np.arange(-2, 2.1, 0.5):
                    got = tried(rng, rate, z, modulation, snr, True, max(packets // 10, 8))
                    information += got[0]
                    whole += got[1]
        information, whole = np.array(information), np.array(whole)
        low, high = information[whole].min() - MARGIN, information[~whole].max() + MARGIN
        need[name] = (round(float(low), 4), round(float(high), 4), whole.size)
        print(name, need[name], flush=True)
    (ROOT / "python/gr_diffsem/phy/ldpc_table.py").write_text(source(packets, error, need))


def lines(per):
    """Entries of one row, six a line."""
    entries = [f"{s:g}: {e:g}," for s, e in per.items()]
    return "".join(f"        {' '.join(entries[i : i + 6])}\n" for i in range(0, len(entries), 6))


def source(packets, error, need):
    """The module's text."""
    rows = "".join(f"    {key!r}: {{\n{lines(per)}    }},\n" for key, per in error.items())
    needed = "".join(f"    {name!r}: {value[:2]!r},  # {value[2]} code words\n" for name, value in need.items())
    return f'''# SPDX-License-Identifier: GPL-3.0-or-later
"""Written by bench/ldpc_table.py, seed {SEED}: what the LDPC codes (ldpc.py) need."""

# fmt: off
#: (modulation, rate): {{Es/N0 in dB: share of packets lost}}; AWGN, 3,000 code bits, {packets} packets each.
PACKET_ERROR = {{
{rows}}}
#: rate: bits of information per code bit below which no code word was decoded, and above which every one was (each
#: {MARGIN} beyond what was seen), AWGN and fading, all modulations.
INFORMATION = {{
{needed}}}
#: Sizes of the circulants that this was found for.
SIZES = ({min(SIZES)}, {max(SIZES)})
'''


if __name__ == "__main__":
    main()
