/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "fields.h"

#include <gnuradio/diffsem/ofdm_equalizer_diffsem.h>

void bind_ofdm_equalizer_diffsem(py::module& m)
{
    using gr::diffsem::ofdm_equalizer_diffsem;
    using o = gr::diffsem::ofdm_equalizer_options;
    using in = fields_of<o>;

    py::class_<ofdm_equalizer_diffsem,
               gr::digital::ofdm_equalizer_1d_pilots,
               std::shared_ptr<ofdm_equalizer_diffsem>>
        block(
            m,
            "ofdm_equalizer_diffsem",
            "Equaliser for digital.ofdm_frame_equalizer_vcvc that keeps the estimate it is given, "
            "follows\n"
            "the phase common to all carriers by the pilots, and leaves the symbols soft.");
    def_init<o>(
        block,
        &ofdm_equalizer_diffsem::make,
        std::make_tuple(needed<int>{"fft_len", "carriers of a symbol."}),
        std::make_tuple(
            in::line("occupied_carriers",
                     &o::occupied_carriers,
                     "lists of lists, as for digital.ofdm_carrier_allocator_cvc; empty: all."),
            in::line("pilot_carriers",
                     &o::pilot_carriers,
                     "likewise; empty: the phase is not followed."),
            in::line("pilot_symbols", &o::pilot_symbols, "their values."),
            in::line("symbols_skipped",
                     &o::symbols_skipped,
                     "symbols of the frame taken off before (the header)."),
            in::line("input_is_shifted", &o::input_is_shifted, "index 0 is the lowest frequency."),
            in::line("phase_memory",
                     &o::phase_memory,
                     "0: each symbol by itself; 1: a straight line over the frame.")));
    block
        .def("set_phase_memory", &ofdm_equalizer_diffsem::set_phase_memory, py::arg("phase_memory"))
        .def("phase_memory", &ofdm_equalizer_diffsem::phase_memory)
        .def("base", &ofdm_equalizer_diffsem::base)
        .def(
            "equalize_frame",
            [](ofdm_equalizer_diffsem& self,
               py::array_t<gr_complex, py::array::c_style | py::array::forcecast> frame,
               const std::vector<gr_complex>& taps) {
                const int n = self.fft_len();
                if (frame.ndim() != 2 || frame.shape(1) != n || static_cast<int>(taps.size()) != n)
                    throw gr::diffsem::core::Error("frame must be symbols x " + std::to_string(n) +
                                                   " carriers, taps " + std::to_string(n));
                py::array_t<gr_complex> out({frame.shape(0), frame.shape(1)});
                std::copy_n(frame.data(), frame.size(), out.mutable_data());
                self.reset();
                self.equalize(out.mutable_data(), static_cast<int>(frame.shape(0)), taps);
                std::vector<gr_complex> state;
                self.get_channel_state(state);
                return py::make_tuple(out, py::array_t<gr_complex>(state.size(), state.data()));
            },
            py::arg("frame"),
            py::arg("taps"),
            "Equalise one frame [symbols, fft_len] without a flowgraph: (symbols, state after "
            "it).");
}
