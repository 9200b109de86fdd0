/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "bindings.h"

#include <gnuradio/diffsem/dvbt_demod_reference_signals.h>
#include <gnuradio/diffsem/dvbt_ofdm_sym_acquisition.h>
#include <gnuradio/diffsem/dvbt_soft_decoder.h>

#include <string>

namespace {

using gr::diffsem::dvbt_demod_reference_signals;
using gr::diffsem::dvbt_ofdm_sym_acquisition;
using gr::diffsem::dvbt_soft_decoder;

std::string said(const py::handle& value)
{
    return py::repr(value).cast<std::string>();
}

// A whole number, of Python or NumPy.
int whole(const char* name,
          const py::object& value,
          const std::string& give = "give a whole number")
{
    int overflow = 0;
    const auto index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
    const long out = index ? PyLong_AsLongAndOverflow(index.ptr(), &overflow) : 0;
    if (!index)
        PyErr_Clear();
    if (!index || overflow || out != int(out))
        throw py::value_error(std::string(name) + " is " + said(value) + ": " + give);
    return int(out);
}

bool yes_or_no(const char* name, const py::object& value)
{
    const std::string give = "give True or False";
    const int out = whole(name, value, give);
    if (out != 0 && out != 1)
        throw py::value_error(std::string(name) + " is " + said(value) + ": " + give);
    return out == 1;
}

// A member of this enumeration of gr-dtv, or its number: gr-dtv itself is not needed.
int number(const char* name, const py::object& value, const char* enumeration)
{
    const std::string give =
        std::string("give a member of gr-dtv's ") + enumeration + ", or its number";
    const py::handle type = py::type::handle_of(value);
    if (!py::hasattr(type, "__members__"))
        return whole(name, value, give);
    if (type.attr("__name__").cast<std::string>() != enumeration)
        throw py::value_error(std::string(name) + " is " + said(value) + ": " + give);
    return py::int_(value).cast<int>();
}

constexpr const char* constellations = "dvb_constellation_t";
constexpr const char* hierarchies = "dvbt_hierarchy_t";
constexpr const char* code_rates = "dvb_code_rate_t";
constexpr const char* guard_intervals = "dvb_guardinterval_t";
constexpr const char* transmission_modes = "dvbt_transmission_mode_t";

gr::diffsem::scheme::sptr scheme_or_none(const py::object& scheme)
{
    if (scheme.is_none() || (py::isinstance<py::str>(scheme) && py::len(scheme) == 0))
        return nullptr;
    if (!py::isinstance<py::str>(scheme) && !py::isinstance<gr::diffsem::scheme>(scheme))
        throw py::value_error("scheme is " + said(scheme) +
                              ": give a name, a diffsem.scheme, or '' for none");
    return scheme.cast<gr::diffsem::scheme::sptr>();
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
        .def(py::init([](const py::object& itemsize,
                         const py::object& ninput,
                         const py::object& noutput,
                         const py::object& constellation,
                         const py::object& hierarchy,
                         const py::object& code_rate_HP,
                         const py::object& code_rate_LP,
                         const py::object& guard_interval,
                         const py::object& transmission_mode,
                         const py::object& include_cell_id,
                         const py::object& cell_id,
                         const py::object& scheme,
                         const py::object& soft) {
                 const gr::diffsem::dvbt_settings settings{
                     number("constellation", constellation, constellations),
                     number("hierarchy", hierarchy, hierarchies),
                     number("code_rate_HP", code_rate_HP, code_rates),
                     number("code_rate_LP", code_rate_LP, code_rates),
                     number("guard_interval", guard_interval, guard_intervals),
                     number("transmission_mode", transmission_mode, transmission_modes),
                     whole("include_cell_id", include_cell_id),
                     whole("cell_id", cell_id)};
                 return B::make(whole("itemsize", itemsize),
                                whole("ninput", ninput),
                                whole("noutput", noutput),
                                settings,
                                scheme_or_none(scheme),
                                yes_or_no("soft", soft));
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
             py::arg("soft") = false,
             "The arguments of gr-dtv's block, enumerations of gr-dtv or their numbers, and:\n\n"
             "scheme: handle or name of a prior over tiles of symbols x carriers, such as "
             "'ofdm_grid/robust'; '': "
             "filters\n  that follow the signal, for the rate of a broadcast.\n"
             "soft: a second output, the noise variance of each carrier of payload (float), for "
             "dvbt_soft_decoder.")
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
        .def(py::init([](const py::object& blocks,
                         const py::object& fft_length,
                         const py::object& occupied_tones,
                         const py::object& cp_length,
                         const py::object& snr) {
                 const double db = PyFloat_AsDouble(snr.ptr());
                 if (PyErr_Occurred()) {
                     PyErr_Clear();
                     throw py::value_error("snr is " + said(snr) + ": give dB");
                 }
                 return B::make(whole("blocks", blocks),
                                whole("fft_length", fft_length),
                                whole("occupied_tones", occupied_tones),
                                whole("cp_length", cp_length),
                                float(db));
             }),
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

void bind_soft_decoder(py::module& m)
{
    using B = dvbt_soft_decoder;
    py::class_<B, gr::block, gr::basic_block, std::shared_ptr<B>>(
        m,
        "dvbt_soft_decoder",
        "The inner decoder of DVB-T from soft decisions: in the place of gr-dtv's demapper, inner "
        "deinterleavers and\nViterbi decoder, behind dvbt_demod_reference_signals(..., "
        "soft=True).\n\n"
        "Inputs: payload of symbols (complex) with the tags 'symbol_index' and "
        "'superframe_start'; noise variance of each\nof its carriers (float). Output: octets for "
        "dtv.dvbt_convolutional_deinterleaver. Messages on 'stats'. Raises\nValueError naming the "
        "parameter, its value and the remedy.")
        .def(py::init([](const py::object& nsize,
                         const py::object& constellation,
                         const py::object& hierarchy,
                         const py::object& code_rate,
                         const py::object& transmission_mode) {
                 return B::make(whole("nsize", nsize),
                                number("constellation", constellation, constellations),
                                number("hierarchy", hierarchy, hierarchies),
                                number("code_rate", code_rate, code_rates),
                                number("transmission_mode", transmission_mode, transmission_modes));
             }),
             py::arg("nsize"),
             py::arg("constellation"),
             py::arg("hierarchy"),
             py::arg("code_rate"),
             py::arg("transmission_mode"),
             "Enumerations of gr-dtv or their numbers.\n\n"
             "nsize: carriers of payload, 1512 (2k) or 6048 (8k)\n"
             "hierarchy: NH")
        .def("items_in", &B::items_in, "Symbols; items_out() + items_dropped().")
        .def("items_out", &B::items_out, "Symbols that were decoded.")
        .def("items_dropped", &B::items_dropped, "Before a superframe began.");
}

} // namespace

void bind_dvbt(py::module& m)
{
    bind_demodulator(m);
    bind_acquisition(m);
    bind_soft_decoder(m);
}
