/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "bindings.h"

#include <gnuradio/diffsem/ofdm_chanest_vcvc.h>

void bind_ofdm_chanest_vcvc(py::module& m)
{
    using gr::diffsem::ofdm_chanest_vcvc;
    py::class_<ofdm_chanest_vcvc, gr::block, gr::basic_block, std::shared_ptr<ofdm_chanest_vcvc>>
        block(m,
              "ofdm_chanest_vcvc",
              "Channel estimation for OFDM from one or two sync words, under a learned prior.\n\n"
              "Takes the place of digital.ofdm_chanest_vcvc: one argument more, in front. With "
              "scheme "
              "'ls'\n"
              "outputs and tags are the same, bit for bit; with another the taps are the posterior "
              "estimate\n"
              "for all carriers. Also tags diffsem_noise_var and diffsem_error_var; messages on "
              "'stats'.");
    const gr::diffsem::live_options live;
    block
        .def(py::init([](const gr::diffsem::scheme::sptr& scheme,
                         const std::vector<gr_complex>& sync_symbol1,
                         const std::vector<gr_complex>& sync_symbol2,
                         int n_data_symbols,
                         int eq_noise_red_len,
                         int max_carr_offset,
                         bool force_one_sync_symbol,
                         float noise_var,
                         const std::string& extra_tags,
                         int steps,
                         uint64_t seed,
                         double deadline,
                         const std::string& overload,
                         int fault_limit) {
                 return ofdm_chanest_vcvc::make(scheme,
                                                sync_symbol1,
                                                sync_symbol2,
                                                n_data_symbols,
                                                eq_noise_red_len,
                                                max_carr_offset,
                                                force_one_sync_symbol,
                                                noise_var,
                                                extra_tags,
                                                steps,
                                                seed,
                                                live_of(deadline, overload, fault_limit));
             }),
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
             py::arg("deadline") = live.deadline,
             py::arg("overload") = live.overload,
             py::arg("fault_limit") = live.fault_limit,
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
             "extra_tags: 'auto', 'none', 'noise', 'error' (noise and error variance) or 'all'.\n"
             "steps: evaluations of the prior; 0: the scheme's own.\n"
             "seed: of random schemes.\n"
             "deadline: milliseconds from a frame's arrival to its output; 0: none.\n"
             "overload: 'wait', 'fewer_steps' or 'bypass', when inference is too slow.\n"
             "fault_limit: failed inferences in a row that switch the scheme off; 0: never.")
        .def("set_steps", &ofdm_chanest_vcvc::set_steps, py::arg("steps"))
        .def("set_eta", &ofdm_chanest_vcvc::set_eta, py::arg("eta"))
        .def("set_seed", &ofdm_chanest_vcvc::set_seed, py::arg("seed"))
        .def("set_noise_var", &ofdm_chanest_vcvc::set_noise_var, py::arg("noise_var"))
        .def("set_scheme",
             &ofdm_chanest_vcvc::set_scheme,
             py::arg("scheme"),
             py::call_guard<py::gil_scoped_release>(),
             "Load and try it, then put it in the place of the running one. Live.");
    bind_live(block);
}
