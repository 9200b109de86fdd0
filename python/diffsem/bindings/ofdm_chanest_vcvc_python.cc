/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "bindings.h"

#include <gnuradio/diffsem/ofdm_chanest_vcvc.h>

void bind_ofdm_chanest_vcvc(py::module& m)
{
    using gr::diffsem::ofdm_chanest_vcvc;
    py::class_<ofdm_chanest_vcvc, gr::block, gr::basic_block, std::shared_ptr<ofdm_chanest_vcvc>>(
        m,
        "ofdm_chanest_vcvc",
        "Channel estimation for OFDM from one or two sync words, under a learned prior.\n\n"
        "Takes the place of digital.ofdm_chanest_vcvc: one argument more, in front. With scheme "
        "'ls'\n"
        "outputs and tags are the same, bit for bit; with another the taps are the posterior "
        "estimate\n"
        "for all carriers. Also tags diffsem_noise_var and diffsem_error_var; messages on 'stats'.")
        .def(py::init(&ofdm_chanest_vcvc::make),
             py::arg("scheme"),
             py::arg("sync_symbol1"),
             py::arg("sync_symbol2"),
             py::arg("n_data_symbols"),
             py::arg("eq_noise_red_len") = 0,
             py::arg("max_carr_offset") = -1,
             py::arg("force_one_sync_symbol") = false,
             py::arg("noise_var") = 0.0f,
             py::arg("extra_tags") = "auto",
             py::arg("steps") = 0,
             py::arg("seed") = 0,
             "scheme: handle or name.\n"
             "sync_symbol1, sync_symbol2: sync words in the frequency domain, shifted order; the "
             "second\n"
             "may be empty.\n"
             "n_data_symbols: OFDM symbols behind each set of sync words.\n"
             "eq_noise_red_len: samples the channel may last (0: N/4); only used to measure the "
             "noise\n"
             "where the first sync word leaves no carriers empty.\n"
             "max_carr_offset: largest carrier offset tried; -1: all.\n"
             "force_one_sync_symbol: only the first sync word is sent.\n"
             "noise_var: noise variance per carrier of the input; 0: measure it on each frame.\n"
             "extra_tags: 'auto', 'none', 'noise' or 'error' (noise and error variance).\n"
             "steps: evaluations of the prior; 0: the scheme's own.\n"
             "seed: of random schemes.")
        .def("set_steps", &ofdm_chanest_vcvc::set_steps, py::arg("steps"))
        .def("set_eta", &ofdm_chanest_vcvc::set_eta, py::arg("eta"))
        .def("set_seed", &ofdm_chanest_vcvc::set_seed, py::arg("seed"))
        .def("set_noise_var", &ofdm_chanest_vcvc::set_noise_var, py::arg("noise_var"))
        .def("frames_in", &ofdm_chanest_vcvc::frames_in)
        .def("frames_out", &ofdm_chanest_vcvc::frames_out)
        .def("frames_bypassed", &ofdm_chanest_vcvc::frames_bypassed);
}
