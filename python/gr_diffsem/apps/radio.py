# SPDX-License-Identifier: GPL-3.0-or-later
"""Radios as ends of a semantic link: uhd:ARGS and soapy:ARGS, tuned, or one line that says what to change."""

import os

import numpy as np

from ..base.errors import UserError
from ..base.number_options import real

FIND = {
    "uhd": "`uhd_find_devices` lists the radios that UHD sees",
    "soapy": "`SoapySDRUtil --find` lists the radios, `SoapySDRUtil --info` the installed drivers",
}


def add_arguments(parser, gain):
    """The options of a radio; gain: its default, dB."""
    text = "samples a second, the same at both ends (1e6)"
    real(parser, "--rate", "samples a second", above=0, most=1e12, default=1e6, help=text)
    text = "carrier of a radio, Hz, which you may use here"
    real(parser, "--freq", "Hz", least=0, most=1e15, metavar="HZ", help=text)
    real(parser, "--gain", "dB", least=-1000, most=1000, default=gain, metavar="DB", help=f"of a radio, dB ({gain:g})")
    parser.add_argument("--antenna", metavar="NAME", help="of a radio (its own first one)")


def block(at, args, transmit):
    """GNU Radio sink or source of a Place of kind uhd or soapy, set to args.rate, freq, gain, antenna; UserError
    names the option."""
    option = f"{'--to' if transmit else '--from'} {at.kind}:{at.rest}"
    if args.freq is None:
        raise UserError(f"{option}: needs --freq, the carrier in Hz that you may use here")
    make, tune = (_uhd, _tune_uhd) if at.kind == "uhd" else (_soapy, _tune_soapy)
    try:
        radio = make(at.rest, transmit)
    except (RuntimeError, ValueError, ImportError) as e:
        raise UserError(f"{option}: no such radio ({_words(e)}); {FIND[at.kind]}") from None
    tune(radio, args)
    return radio


def _uhd(rest, transmit):
    os.environ.setdefault("UHD_LOG_CONSOLE_LEVEL", "warning")
    from gnuradio import uhd

    return (uhd.usrp_sink if transmit else uhd.usrp_source)(rest, uhd.stream_args("fc32"))


def _soapy(rest, transmit):
    from gnuradio import soapy

    return (soapy.sink if transmit else soapy.source)(rest, "fc32", 1, "", "", [""], [""])


def _tune_uhd(radio, args):
    from gnuradio import uhd

    gains = radio.get_gain_range(0)
    _within("--gain", args.gain, gains.start(), gains.stop(), "dB")
    _set("--rate", args.rate, lambda: radio.set_samp_rate(args.rate), radio.get_samp_rate, 1e-4)
    frequency = (lambda: radio.set_center_freq(uhd.tune_request(args.freq), 0), lambda: radio.get_center_freq(0))
    _set("--freq", args.freq, *frequency, 1e-4)
    radio.set_gain(args.gain, 0)
    _antenna(radio.get_antennas(0), radio.set_antenna, args, lambda name: (name, 0))


def _tune_soapy(radio, args):
    gains, frequencies = radio.get_gain_range(0), radio.get_frequency_range(0)
    _within("--gain", args.gain, gains.minimum(), gains.maximum(), "dB")
    if frequencies:
        _within("--freq", args.freq, min(f.minimum() for f in frequencies), max(f.maximum() for f in frequencies), "Hz")
    rate = (lambda: radio.set_sample_rate(0, args.rate), lambda: radio.get_sample_rate(0))
    _set("--rate", args.rate, *rate, 1e-4)
    _set("--freq", args.freq, lambda: radio.set_frequency(0, args.freq), lambda: radio.get_frequency(0), 1e-4)
    radio.set_gain(0, args.gain)
    _antenna(radio.list_antennas(0), radio.set_antenna, args, lambda name: (0, name))


def _antenna(known, choose, args, order):
    if args.antenna is None:
        return
    if args.antenna not in known:
        raise UserError(f"--antenna {args.antenna}: the radio has {', '.join(known)}")
    choose(*order(args.antenna))


def _within(option, value, low, high, unit):
    if not low <= value <= high:
        raise UserError(f"{option} {value:g}: the radio has {low:g} to {high:g} {unit}")


def _set(option, value, change, ask, tolerance):
    """Radios refuse, or take the nearest they have without a word."""
    try:
        change()
    except (RuntimeError, ValueError) as e:
        raise UserError(f"{option} {value:g}: the radio cannot ({_words(e)}); give another") from None
    got = ask()
    if not np.isclose(got, value, rtol=tolerance, atol=1):
        raise UserError(f"{option} {value:g}: the radio would take {got:g}; give that, at both ends")


def _words(error):
    return " ".join(str(error).split())[:160]
