# SPDX-License-Identifier: GPL-3.0-or-later
"""The configurations of `gr-diffsem eval ofdm_link`, and the scores of each method on them."""

from dataclasses import dataclass, replace

import numpy as np

from ..air import fading, sample_channel
from ..phy import packet_frame
from ..phy.ofdm_layout import LAYOUT_64 as LAYOUT
from . import link_estimates, link_measure, link_sync
from .link_demux import receive_demux
from .link_receiver import Method, receive_cut
from .link_transmitter import payload_symbols, transmit

SNR_DEFINITION = (
    "Es/N0 of an occupied carrier behind the receiver's FFT, averaged over the fading: "
    "E|H s|^2 / E|n|^2 with E|H|^2 = E|s|^2 = 1"
)
SINR_DEFINITION = (
    "10 log10 of the error power behind the equaliser (noise, and what the channel that it took is off by, "
    "carriers weighted by it as in the decoder) over that of `perfect`, same packets"
)
PACKAGE = "ofdm_chanest"
METHODS = {
    "ls": Method("stock"),
    "lmmse": Method(f"{PACKAGE}/lmmse"),
    "genie_lmmse": Method(None),
    "gmm": Method(f"{PACKAGE}/gmm"),
    "mmse_net": Method(f"{PACKAGE}/mmse_net"),
    "diffusion": Method(f"{PACKAGE}/diffusion"),
    "tracking": Method(f"{PACKAGE}/diffusion", "tracking"),
    "perfect": Method(None),
}
SIMPLEDFE_METHODS = ("ls", "diffusion")
SNR_DB = {"qpsk": np.arange(0.0, 21.0, 2.0), "16qam": np.arange(0.0, 27.0, 2.0)}
LEAST = 20  #: packets that all methods must have received for a SINR to be stated


@dataclass(frozen=True)
class Config:
    """One link: modulation, delay spread, detector, equaliser."""

    modulation: str
    spread: str
    sync: str
    equaliser: str = "diffsem"

    @property
    def name(self):
        """E.g. `qpsk_short_ideal`, `16qam_long_ideal_simpledfe`."""
        end = "" if self.equaliser == "diffsem" else f"_{self.equaliser}"
        return f"{self.modulation}_{self.spread}_{self.sync}{end}"


def configurations():
    """All of them, by name."""
    out = []
    for sync, equaliser in (("ideal", "diffsem"), ("sc", "diffsem"), ("ideal", "simpledfe")):
        for modulation in packet_frame.FORMATS:
            for spread in fading.PACKET_LINK:
                if spread == "medium" and sync != "sc":
                    continue  # there for the stock detector: see fading.KINDS
                out.append(Config(modulation, spread, sync, equaliser))
    return {config.name: config for config in out}


@dataclass
class Outcome:
    """Everything that one configuration's methods gave, on the same packets.

    snr_db [snrs]; received: {method: Received}. sent: complex64 [found, 9, 48], the payloads' symbols;
    received_payload, noiseless_payload: the same carriers behind the FFT, with and without noise.
    """

    config: Config
    snr_db: np.ndarray
    packets: int
    synced: link_sync.Synchronised
    truth: np.ndarray
    sent: np.ndarray
    received_payload: np.ndarray
    noiseless_payload: np.ndarray
    received: dict


def methods_of(config):
    """Names of the methods that a configuration compares."""
    return list(METHODS if config.equaliser == "diffsem" else SIMPLEDFE_METHODS)


def available(names):
    """Those of the methods whose scheme can be loaded, and {name: why not} of the others."""
    from gnuradio import diffsem

    out, missing = [], {}
    for name in names:
        try:
            if METHODS[name].chanest not in (None, "stock"):
                diffsem.scheme(METHODS[name].chanest).load()
            out.append(name)
        except ValueError as error:
            missing[name] = str(error)
    return out, missing


def run_config(config, packets, snr_db=None, methods=None, seed=1, progress=None):
    """Send, receive by every method; an Outcome.

    packets: per SNR, at most 4096 (the header counts so far). methods: names of METHODS; None: all
    (with simpledfe, those of SIMPLEDFE_METHODS). progress: called with each method's name when done.
    """
    if not 1 <= packets <= 4096:
        raise ValueError(f"packets is {packets}: give 1 to 4096")
    fmt = packet_frame.FORMATS[config.modulation]
    snr_db = SNR_DB[config.modulation] if snr_db is None else np.asarray(snr_db, float)
    methods = methods or methods_of(config)
    payloads = packet_frame.payloads(fmt, packets, seed)
    samples = transmit(fmt, payloads)
    everyone = np.tile(samples, (snr_db.size, 1))
    air = sample_channel.send_packets(everyone, config.spread, np.repeat(snr_db, packets), seed)
    synced = link_sync.SYNCS[config.sync](air)
    which = np.maximum(synced.packet, 0) % packets
    noise_var = link_estimates.noise_behind_fft(synced, air)
    true = link_estimates.perfect(synced)

    received = {}
    for name in methods:
        taps = {"perfect": lambda: true, "genie_lmmse": lambda: link_estimates.genie_lmmse(synced, air)}
        method = METHODS[name]
        if config.equaliser != "diffsem":
            method = replace(method, equaliser=config.equaliser)
        given = taps[name]() if method.chanest is None else None
        demux = config.sync != "ideal" or config.equaliser != "diffsem"
        receive = receive_demux if demux else receive_cut
        received[name] = receive(
            synced if demux else synced.windows(synced.noisy),
            fmt,
            payloads[which],
            method,
            noise_var,
            given,
            carrier_search=config.sync != "ideal",
        )
        if progress:
            progress(f"{config.name} {name}")
    sent = payload_symbols(samples)[which]
    behind = packet_frame.SYNC_SYMBOLS + packet_frame.HEADER_SYMBOLS
    seen = [synced.windows(stream)[:, behind:, LAYOUT.data_bins] for stream in (synced.noisy, synced.noiseless)]
    return Outcome(config, snr_db, packets, synced, true.taps, sent, *seen, received)


def score(outcome):
    """The entry of one configuration in the report of `gr-diffsem eval ofdm_link --json`."""
    snrs, packets = outcome.snr_db.size, outcome.packets
    packet = outcome.synced.packet
    point = np.where(packet >= 0, packet // packets, -1)  # which SNR a trigger belongs to
    lost, header_lost = {}, {}
    for name, got in outcome.received.items():
        here = packet >= 0
        lost[name] = _flags(packet[here], got.header_ok[here] & got.payload_ok[here], snrs, packets)
        header_lost[name] = _flags(packet[here], got.header_ok[here], snrs, packets)
    detected = _flags(packet[packet >= 0], np.ones((packet >= 0).sum(), bool), snrs, packets)

    values, gains = link_measure.bootstrap(lost, outcome.snr_db)
    errors = {name: _error_powers(outcome, name, point, snrs) for name in outcome.received}
    methods = {}
    for name, got in outcome.received.items():
        here = [(point == i) & (name != "perfect") for i in range(snrs)]
        nmse = [_nmse(got.taps, outcome.truth, one) for one in here]
        loss = 10 * np.log10(errors[name] / errors.get("perfect", np.full(snrs, np.nan)))
        if outcome.config.equaliser != "diffsem":  # it changes the estimate in every symbol
            loss[:] = np.nan
        methods[name] = {
            "nmse_db": nmse,
            "sinr_loss_db": list(loss),
            "per": list(lost[name].mean(1)),
            "header_lost": list(header_lost[name].mean(1)),
            "snr_at_per_10": values[name][0],
            "ci95": values[name][1],
            "gain_over_ls_db": gains[name][0] if name in gains else None,
            "gain_ci95": gains[name][1] if name in gains else None,
        }
    return {
        "name": outcome.config.name,
        "snr_db": list(outcome.snr_db),
        "packets": packets,
        "channel": fading.KINDS[outcome.config.spread].title,
        "undetected": list(detected.mean(1)),
        "methods": methods,
    }


def _flags(packet, good, snrs, packets):
    """bool [snrs, packets]: not among the good ones."""
    lost = np.ones(snrs * packets, bool)
    lost[packet[good]] = False
    return lost.reshape(snrs, packets)


def _nmse(taps, truth, here):
    here = here & np.isfinite(taps).all(1)
    return link_measure.nmse_db(taps[here], truth[here]) if here.sum() else None


def _error_powers(outcome, name, point, snrs):
    """[snrs], over the packets whose symbols every method has; NaN where these are too few."""
    common = np.ones(point.size, bool)
    for got in outcome.received.values():
        common &= np.isfinite(got.symbols).all((1, 2)) & np.isfinite(got.taps).all(1)
    got, powers = outcome.received[name], np.full(snrs, np.nan)
    for i in range(snrs):
        here = common & (point == i)
        if here.sum() >= min(LEAST, outcome.packets):
            seen = outcome.received_payload[here], outcome.noiseless_payload[here]
            powers[i] = link_measure.error_power(*seen, got.symbols[here], outcome.sent[here])
    return powers


def gates(configs):
    """What the link is held to, from the configurations of a report; a list of dicts.

    SINR loss over 0..20 dB with ideal timing: diffusion at least 1.5 dB better than ls and within
    0.3 dB of genie LMMSE at every SNR. SNR at 10 % PER: at least 2.5 dB better than ls.
    """
    out = []
    for config in configs:
        methods = config["methods"]
        if not {"ls", "diffusion"} <= set(methods):
            continue
        use = [i for i, snr in enumerate(config["snr_db"]) if 0 <= snr <= 20]
        loss = {m: np.array(x["sinr_loss_db"], float)[use] for m, x in methods.items()}
        if config["name"].endswith("_ideal") and np.isfinite(loss["diffusion"]).all():
            gain = float((loss["ls"] - loss["diffusion"]).min())
            out.append(_gate(config, "SINR gain over ls, worst SNR", gain, 1.5, gain >= 1.5))
            if "genie_lmmse" in loss:
                short = float((loss["diffusion"] - loss["genie_lmmse"]).max())
                name = "SINR short of genie LMMSE, worst SNR"
                out.append(_gate(config, name, short, 0.3, short <= 0.3))
        gain = methods["diffusion"]["gain_over_ls_db"]
        if gain is not None and np.isfinite(gain) and not config["name"].endswith("simpledfe"):
            out.append(_gate(config, "SNR at 10 % PER below ls", gain, 2.5, gain >= 2.5))
    return out


def _gate(config, name, ours, gate, passed):
    return {"config": config["name"], "name": name, "gate": gate, "ours": ours, "passed": passed}
