/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "bindings.h"

#include <gnuradio/diffsem/clip_cc.h>
#include <gnuradio/diffsem/frame_mapper.h>
#include <gnuradio/diffsem/frame_sync_cvc.h>
#include <gnuradio/diffsem/frame_to_pdu.h>

void bind_semantic(py::module& m)
{
    using namespace gr::diffsem;

    py::class_<frame_format>(
        m, "frame_format", "The OFDM frame that both ends of a semantic link agree on.")
        .def(py::init([](const std::vector<std::vector<int>>& occupied_carriers,
                         const std::vector<std::vector<int>>& pilot_carriers,
                         const std::vector<std::vector<gr_complex>>& pilot_symbols,
                         const std::vector<std::vector<gr_complex>>& sync_words,
                         int fft_len,
                         int cp_len,
                         int frame_symbols) {
                 return frame_format{fft_len,
                                     cp_len,
                                     occupied_carriers,
                                     pilot_carriers,
                                     pilot_symbols,
                                     sync_words,
                                     frame_symbols};
             }),
             py::arg("occupied_carriers"),
             py::arg("pilot_carriers"),
             py::arg("pilot_symbols"),
             py::arg("sync_words"),
             py::arg("fft_len") = 64,
             py::arg("cp_len") = 16,
             py::arg("frame_symbols") = 50,
             "occupied_carriers, pilot_carriers: one set each, counted from DC.\n"
             "pilot_symbols: sets gone through symbol by symbol.\n"
             "sync_words: two, frequency domain, shifted, magnitude 1 on all carriers in use.\n"
             "frame_symbols: OFDM symbols of a full payload, header not counted.");

    py::class_<frame_sync_cvc, gr::block, gr::basic_block, std::shared_ptr<frame_sync_cvc>>(
        m,
        "frame_sync_cvc",
        "Finds the frames of a semantic link in samples, reads their headers, and gives their OFDM "
        "symbols.")
        .def(py::init(&frame_sync_cvc::make),
             py::arg("format"),
             py::arg("max_offset") = 2.25f,
             py::arg("false_alarm") = 1e-3,
             "format: frame_format.\n"
             "max_offset: largest carrier offset, carrier spacings, 0 to 3.\n"
             "false_alarm: probability per sample that noise is taken for a preamble.")
        .def("sync_reference", &frame_sync_cvc::sync_reference)
        .def("header_symbols", &frame_sync_cvc::header_symbols)
        .def("frames_found", &frame_sync_cvc::frames_found)
        .def("frames_out", &frame_sync_cvc::frames_out)
        .def("frames_recognised", &frame_sync_cvc::frames_recognised)
        .def("preambles_skipped", &frame_sync_cvc::preambles_skipped)
        .def("hint", &frame_sync_cvc::hint);

    py::class_<frame_to_pdu,
               gr::sync_block,
               gr::block,
               gr::basic_block,
               std::shared_ptr<frame_to_pdu>>(
        m,
        "frame_to_pdu",
        "Equalised frames of a semantic link as PDUs, each symbol with its own noise variance.")
        .def(py::init(&frame_to_pdu::make), py::arg("format"), "format: frame_format.")
        .def("frames_in", &frame_to_pdu::frames_in)
        .def("frames_out", &frame_to_pdu::frames_out)
        .def("frames_dropped", &frame_to_pdu::frames_dropped);

    py::class_<frame_mapper, gr::block, gr::basic_block, std::shared_ptr<frame_mapper>>(
        m,
        "frame_mapper",
        "Puts the coded header in front of the symbols of each frame of a semantic link.")
        .def(py::init(&frame_mapper::make),
             py::arg("carriers") = 48,
             py::arg("frame_symbols") = 50,
             "carriers: data carriers of an OFDM symbol.\n"
             "frame_symbols: OFDM symbols of a full payload.")
        .def("frames_in", &frame_mapper::frames_in)
        .def("frames_out", &frame_mapper::frames_out)
        .def("frames_dropped", &frame_mapper::frames_dropped);

    py::class_<clip_cc, gr::sync_block, gr::block, gr::basic_block, std::shared_ptr<clip_cc>>(
        m, "clip_cc", "Clips the magnitude of samples to a chosen ratio of peak to mean power.")
        .def(py::init(&clip_cc::make),
             py::arg("papr_db"),
             py::arg("mean_power") = 1.0,
             "papr_db: largest power of a sample over the mean one, dB; infinite: no clipping.\n"
             "mean_power: of the samples.")
        .def("set_papr_db", &clip_cc::set_papr_db, py::arg("papr_db"))
        .def("samples_clipped", &clip_cc::samples_clipped);
}
