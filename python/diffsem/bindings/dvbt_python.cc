/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "bindings.h"

#include <gnuradio/diffsem/dvbt_demod_reference_signals.h>
#include <gnuradio/diffsem/dvbt_ofdm_sym_acquisition.h>

namespace {

using gr::diffsem::dvbt_demod_reference_signals;
using gr::diffsem::dvbt_ofdm_sym_acquisition;

// A member of one of gr-dtv's enumerations, or its number: gr-dtv itself is not needed.
int number(const py::object& value)
{
    return py::int_(value).cast<int>();
}

void bind_demodulator(py::module& m)
{
    using B = dvbt_demod_reference_signals;
    py::class_<B, gr::block, gr::basic_block, std::shared_ptr<B>>(
        m,
        "dvbt_demod_reference_signals",
        "Equalised payload of DVB-T, the channel followed over time and frequency: in the place of "
        "gr-dtv's.\n\n"
        "Input: spectra of symbols, DC in the middle. Output: their payload, from the first "
        "superframe on, with the "
        "tags\n'symbol_index' and 'superframe_start'. Messages on 'stats'. Raises ValueError "
        "naming the parameter, "
        "its value and the\nremedy.")
        .def(py::init([](int itemsize,
                         int ninput,
                         int noutput,
                         const py::object& constellation,
                         const py::object& hierarchy,
                         const py::object& code_rate_HP,
                         const py::object& code_rate_LP,
                         const py::object& guard_interval,
                         const py::object& transmission_mode,
                         int include_cell_id,
                         int cell_id,
                         const py::object& scheme) {
                 const gr::diffsem::dvbt_settings settings{number(constellation),
                                                           number(hierarchy),
                                                           number(code_rate_HP),
                                                           number(code_rate_LP),
                                                           number(guard_interval),
                                                           number(transmission_mode),
                                                           include_cell_id,
                                                           cell_id};
                 const bool none =
                     scheme.is_none() || (py::isinstance<py::str>(scheme) && py::len(scheme) == 0);
                 return B::make(itemsize,
                                ninput,
                                noutput,
                                settings,
                                none ? nullptr : scheme.cast<gr::diffsem::scheme::sptr>());
             }),
             py::arg("itemsize"),
             py::arg("ninput"),
             py::arg("noutput"),
             py::arg("constellation"),
             py::arg("hierarchy"),
             py::arg("code_rate_HP"),
             py::arg("code_rate_LP"),
             py::arg("guard_interval"),
             py::arg("transmission_mode"),
             py::arg("include_cell_id") = 0,
             py::arg("cell_id") = 0,
             py::arg("scheme") = "",
             "The arguments of gr-dtv's block, enumerations of gr-dtv or their numbers, and:\n\n"
             "scheme: handle or name of a prior over tiles of symbols x carriers, such as "
             "'ofdm_grid/robust'; '': "
             "filters\n  that follow the signal, for the rate of a broadcast.")
        .def(
            "items_in", &B::items_in, "Symbols; items_out() + items_dropped() + what waits inside.")
        .def("items_out", &B::items_out)
        .def("items_dropped",
             &B::items_dropped,
             "Before a superframe began, or lost with their neighbours.")
        .def("losses", &B::losses, "How often symbols were lost after a superframe was found.")
        .def("noise_var", &B::noise_var, "Of a carrier of the input, as measured; 0: not yet.");
}

void bind_acquisition(py::module& m)
{
    using B = dvbt_ofdm_sym_acquisition;
    py::class_<B, gr::block, gr::basic_block, std::shared_ptr<B>>(
        m,
        "dvbt_ofdm_sym_acquisition",
        "Cuts OFDM symbols out of a stream by their guard intervals, where echoes are strong: in "
        "the place of "
        "gr-dtv's.\n\nOutput: symbols without guard intervals, the carrier offset within half a "
        "spacing taken out; tag "
        "'sync_start' where\nthe place was found. Messages on 'stats'. Raises ValueError naming "
        "the parameter, its "
        "value and the remedy.")
        .def(py::init(&B::make),
             py::arg("blocks"),
             py::arg("fft_length"),
             py::arg("occupied_tones"),
             py::arg("cp_length"),
             py::arg("snr"),
             "The arguments of gr-dtv's block; cp_length: samples of the guard interval.")
        .def("locked", &B::locked)
        .def("offset", &B::offset, "Of the carriers, in their spacing, -0.5 .. 0.5.")
        .def("coherence", &B::coherence, "0 .. 1: SNR / (1 + SNR).")
        .def("losses", &B::losses, "How often the place was lost.");
}

} // namespace

void bind_dvbt(py::module& m)
{
    bind_demodulator(m);
    bind_acquisition(m);
}
