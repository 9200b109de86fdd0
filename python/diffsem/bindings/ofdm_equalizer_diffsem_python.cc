/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "fields.h"

#include <gnuradio/diffsem/core/link/demap.h>
#include <gnuradio/diffsem/ofdm_equalizer_diffsem.h>

namespace {

using points = std::vector<gr_complex>;

points points_of(const py::handle& said)
{
    if (py::isinstance<py::str>(said))
        return gr::diffsem::core::constellation_points(said.cast<std::string>());
    if (py::hasattr(said, "points"))
        return said.attr("points")().cast<points>();
    throw gr::diffsem::core::Error(
        "constellation is " + py::repr(said).cast<std::string>() +
        ": give bpsk, qpsk, 16qam, 64qam, a digital.constellation, or a list of them");
}

std::vector<points> constellations_of(py::object said)
{
    if (py::isinstance<py::str>(said) && said.cast<std::string>().empty())
        return {};
    if (!py::isinstance<py::list>(said) && !py::isinstance<py::tuple>(said))
        return {points_of(said)};
    std::vector<points> out;
    for (const auto& one : said)
        out.push_back(points_of(one));
    return out;
}

} // namespace

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
            "the phase common to all carriers by the pilots, and the channel by pilots and decided "
            "data (with a\n"
            "constellation), and leaves the symbols soft.");
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
                     "0: each symbol by itself; 1: a straight line over the frame."),
            in::line("constellation",
                     &o::constellations,
                     py::object(py::str("")),
                     &constellations_of,
                     "what the data carriers hold, so that the channel is followed inside the "
                     "frame: bpsk, qpsk,\n"
                     "  16qam, 64qam, a digital.constellation, or a list of them, for the first "
                     "symbol that comes here, the\n"
                     "  second, ...; the last goes on. Empty: the first estimate holds."),
            in::line(
                "delay_window",
                &o::delay_window,
                "longest delay of the channel in samples (the cyclic prefix); 0: fft_len/4.")));
    block
        .def("set_phase_memory", &ofdm_equalizer_diffsem::set_phase_memory, py::arg("phase_memory"))
        .def("phase_memory", &ofdm_equalizer_diffsem::phase_memory)
        .def("base", &ofdm_equalizer_diffsem::base)
        .def(
            "equalize_frame",
            [](ofdm_equalizer_diffsem& self,
               py::array_t<gr_complex, py::array::c_style | py::array::forcecast> frame,
               const std::vector<gr_complex>& taps,
               double noise_var,
               double error_var) {
                const int n = self.fft_len();
                if (frame.ndim() != 2 || frame.shape(1) != n || static_cast<int>(taps.size()) != n)
                    throw gr::diffsem::core::Error("frame must be symbols x " + std::to_string(n) +
                                                   " carriers, taps " + std::to_string(n));
                py::array_t<gr_complex> out({frame.shape(0), frame.shape(1)});
                std::copy_n(frame.data(), frame.size(), out.mutable_data());
                self.reset();
                std::vector<gr::tag_t> tags(2);
                tags[0].key = pmt::mp("diffsem_noise_var");
                tags[0].value = pmt::from_double(noise_var);
                tags[1].key = pmt::mp("diffsem_error_var");
                tags[1].value = pmt::make_f32vector(n, static_cast<float>(error_var));
                self.equalize(out.mutable_data(), static_cast<int>(frame.shape(0)), taps, tags);
                std::vector<gr_complex> state;
                self.get_channel_state(state);
                return py::make_tuple(out, py::array_t<gr_complex>(state.size(), state.data()));
            },
            py::arg("frame"),
            py::arg("taps"),
            py::arg("noise_var") = std::nan(""),
            py::arg("error_var") = std::nan(""),
            "Equalise one frame [symbols, fft_len] without a flowgraph: (symbols, state after "
            "it).\n"
            "noise_var, error_var: of the received carriers and of the taps; NaN: not known.");
}
