# SPDX-License-Identifier: GPL-3.0-or-later
"""The two steps of `mimo_ofdm_rx` that no block of GNU Radio takes: packets out of samples, octets out of estimates."""

import numpy as np
import pmt
from gnuradio import gr

NOISE = pmt.intern("diffsem_noise_var")
EARLY, LATE = 24, 40  #: samples about a trigger in which the word for timing is looked for


class mimo_ofdm_cut(gr.basic_block):
    """Samples of two receive antennas and a trigger in; of each packet its looks at the channel [256] and its spectra
    [2 (1 + symbols) 64] out, both tagged with the noise variance (``diffsem_noise_var``)."""

    def __init__(self, pilots, symbols):
        from gr_diffsem.phy import mimo_ofdm as phy

        self._phy, self._pilots, self._symbols = phy, pilots, symbols
        self._body = phy.LAYOUT.cp_len  # from a packet's first sample to the word's body
        self._packet = phy.LAYOUT.symbol * (1 + symbols)
        self._whole = EARLY + LATE + phy.LAYOUT.symbol + self._packet  # samples that a packet needs about its trigger
        self._held = np.zeros((2, EARLY), np.complex64)
        self._first = -EARLY  # number of the first sample held
        self._triggers, self._ready = [], []
        looks, grid = phy.observed(pilots).size, 2 * (1 + symbols) * phy.LAYOUT.fft_len
        gr.basic_block.__init__(
            self,
            name="mimo_ofdm_cut",
            in_sig=[np.complex64, np.complex64, np.uint8],
            out_sig=[(np.complex64, looks), (np.complex64, grid)],
        )
        self.set_tag_propagation_policy(gr.TPP_DONT)

    def forecast(self, noutput_items, ninputs):
        return [1] * ninputs

    def general_work(self, input_items, output_items):
        if self._ready:  # what is left for want of room goes first: at the end of a stream nothing is asked for twice
            self.consume_each(0)
            return self._put(output_items)
        taken = min(self._packet, *map(len, input_items))
        at = self.nitems_read(0)
        new = np.stack([stream[:taken] for stream in input_items[:2]])
        self._held = np.concatenate([self._held, new], 1)
        self._triggers += (at + np.flatnonzero(input_items[2][:taken])).tolist()
        self.consume_each(taken)
        self._cut(at + taken)
        return self._put(output_items)

    def _cut(self, end):
        while self._triggers and self._triggers[0] - EARLY + self._whole <= end:
            begin = self._triggers.pop(0) - EARLY
            self._ready.append(self._packet_of(self._held[:, begin - self._first :][:, : self._whole]))
        keep = self._triggers[0] - EARLY if self._triggers else end - EARLY
        self._held, self._first = self._held[:, keep - self._first :], keep

    def _packet_of(self, samples):
        """(looks, spectra, noise variance) of samples that begin EARLY before a trigger."""
        phy = self._phy
        word = phy.LAYOUT.fft_len + EARLY + LATE
        body = EARLY + phy.first_path(samples[:, :word], EARLY) - phy.EARLY
        begin = max(body + phy.LAYOUT.fft_len, 0)
        received = phy.heard(samples[:, begin : begin + self._packet], self._symbols)
        return phy.looks(received[None, :, 0], self._pilots)[0], received, phy.noise_variance(received)

    def _put(self, output_items):
        count = min(len(self._ready), *map(len, output_items))
        for i, (looks, received, noise) in enumerate(self._ready[:count]):
            output_items[0][i], output_items[1][i] = looks.ravel(), received.ravel()
            for port in (0, 1):
                self.add_item_tag(port, self.nitems_written(port) + i, NOISE, pmt.from_double(max(noise, 1e-12)))
        del self._ready[:count]
        return count


class mimo_ofdm_decide(gr.sync_block):
    """Links [256] and spectra (tagged with their noise variance) in; octets, equalised points, two for each, and
    the links that were used out. interpolate: links are looks, between which lines are drawn."""

    def __init__(self, pilots, symbols, interpolate=False):
        from gr_diffsem.phy import mimo_ofdm as phy

        self._phy, self._pilots, self._interpolate = phy, pilots, interpolate
        self._shape = (2, 1 + symbols, phy.LAYOUT.fft_len)
        octets, links = phy.packet_octets(pilots, symbols), phy.observed(pilots).size
        gr.sync_block.__init__(
            self,
            name="mimo_ofdm_decide",
            in_sig=[(np.complex64, links), (np.complex64, int(np.prod(self._shape)))],
            out_sig=[(np.uint8, octets), (np.complex64, 2 * octets), (np.complex64, links)],
        )
        self.set_tag_propagation_policy(gr.TPP_DONT)

    def work(self, input_items, output_items):
        count, at = len(output_items[0]), self.nitems_read(1)
        noise = {t.offset - at: pmt.to_double(t.value) for t in self.get_tags_in_window(1, 0, count, NOISE)}
        for i in range(count):
            links = input_items[0][i].reshape(-1, self._shape[2])
            if self._interpolate:
                links = self._phy.interpolate(links[None], self._pilots)[0]
            received = input_items[1][i].reshape(self._shape)
            octets, points = self._phy.receive(received, links, noise.get(i, 1e-12), self._pilots)
            output_items[0][i], output_items[1][i], output_items[2][i] = octets, points.ravel(), links.ravel()
        return count
