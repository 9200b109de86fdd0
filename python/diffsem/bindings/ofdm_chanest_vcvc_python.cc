/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "fields.h"

#include <gnuradio/diffsem/ofdm_chanest_vcvc.h>

void bind_ofdm_chanest_vcvc(py::module& m)
{
    using gr::diffsem::ofdm_chanest_vcvc;
    using o = gr::diffsem::ofdm_chanest_options;
    using in = fields_of<o>;
    using word = std::vector<gr_complex>;

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
    def_init<o>(
        block,
        &ofdm_chanest_vcvc::make,
        std::make_tuple(
            needed<gr::diffsem::scheme::sptr>{"scheme", "handle or name."},
            needed<word>{"sync_symbol1", "first sync word in the frequency domain, shifted order."},
            needed<word>{"sync_symbol2", "second one; may be empty."},
            needed<int>{"n_data_symbols", "OFDM symbols behind each set of sync words."}),
        std::tuple_cat(
            std::make_tuple(
                in::line("eq_noise_red_len",
                         &o::eq_noise_red_len,
                         "samples the channel may last (0: N/4); only used to measure the noise\n"
                         "  where the first sync word leaves no carriers empty."),
                in::line("max_carr_offset",
                         &o::max_carr_offset,
                         "largest carrier offset tried; -1: all."),
                in::line("force_one_sync_symbol",
                         &o::force_one_sync_symbol,
                         "only the first sync word is sent."),
                in::line("noise_var",
                         &o::noise_var,
                         "noise variance per carrier of the input; 0: measure it on each frame."),
                in::line("extra_tags",
                         &o::extra_tags,
                         "'auto', 'none', 'noise', 'error' (noise and error variance) or 'all'."),
                in::line("steps", &o::steps, "evaluations of the prior; 0: the scheme's own."),
                in::line("seed", &o::seed, "of random schemes.")),
            in::live("'wait', 'fewer_steps' or 'bypass', when inference is too slow.")));
    block.def("set_steps", &ofdm_chanest_vcvc::set_steps, py::arg("steps"))
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
