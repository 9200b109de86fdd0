/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "fields.h"

#include <gnuradio/diffsem/ofdm_grid_chanest.h>

void bind_ofdm_grid_chanest(py::module& m)
{
    using gr::diffsem::ofdm_grid_chanest;
    using o = gr::diffsem::ofdm_grid_chanest_options;
    using in = fields_of<o>;
    const auto scheme = [](const py::object& said) {
        return said.cast<gr::diffsem::scheme::sptr>();
    };

    py::class_<ofdm_grid_chanest, gr::block, gr::basic_block, std::shared_ptr<ofdm_grid_chanest>>
        block(
            m,
            "ofdm_grid_chanest",
            "The channel at every carrier of every OFDM symbol, from pilots wherever they are.\n\n"
            "Input: OFDM symbols in the frequency domain, fft_len carriers, DC in the middle. "
            "Outputs: the symbols as\n"
            "soon as they are answered, the channel at each, and (optional) its error variance, "
            "infinite where nothing\n"
            "is known. Messages on 'stats'. Raises ValueError naming the parameter, its value "
            "and the remedy.");
    def_init<o>(
        block,
        &ofdm_grid_chanest::make,
        std::make_tuple(
            needed<int>{"fft_len", "carriers of a symbol."},
            needed<std::vector<int>>{"occupied_carriers",
                                     "those that carry energy, counted from DC."},
            needed<gr::diffsem::pilot_pattern>{
                "pilots",
                "(carriers, values) of each symbol of a period, or diffsem.pilots(...)."}),
        std::tuple_cat(
            std::make_tuple(
                in::line("scheme",
                         &o::scheme,
                         py::object(py::str("ofdm_grid")),
                         scheme,
                         "handle or name of a prior over tiles of symbols x carriers; 'ls': lines "
                         "between pilots."),
                in::line("window", &o::window, "symbols that an answer is made from."),
                in::line("latency",
                         &o::latency,
                         "symbols that one may wait for later ones; -1: as many as help."),
                in::line("noise_var",
                         &o::noise_var,
                         "noise variance per carrier of the input; 0: measure it in each window."),
                in::line("null_carriers",
                         &o::null_carriers,
                         "empty carriers where it is measured; none: on what the pilots show."),
                in::line("delay_window",
                         &o::delay_window,
                         "samples that the channel may last, for the latter; 0: choose."),
                in::line("frame_tag",
                         &o::frame_tag,
                         "key of the tag on a pattern's first symbol; '': counted from the first "
                         "item."),
                in::line("tag_items", &o::tag_items, "tag every symbol with what was done to it."),
                in::line("steps", &o::steps, "evaluations of the prior; 0: the scheme's own."),
                in::line("eta", &o::eta, "of the sampler; < 0: the scheme's own."),
                in::line("seed", &o::seed, "of random schemes.")),
            in::live("'wait', 'fewer_steps', 'bypass' or 'drop', when inference is too slow.")));
    block.def("set_steps", &ofdm_grid_chanest::set_steps, py::arg("steps"))
        .def("set_eta", &ofdm_grid_chanest::set_eta, py::arg("eta"))
        .def("set_seed", &ofdm_grid_chanest::set_seed, py::arg("seed"))
        .def("set_noise_var", &ofdm_grid_chanest::set_noise_var, py::arg("noise_var"))
        .def("set_tag_items", &ofdm_grid_chanest::set_tag_items, py::arg("tag_items"))
        .def("set_scheme",
             &ofdm_grid_chanest::set_scheme,
             py::arg("scheme"),
             py::call_guard<py::gil_scoped_release>(),
             "Load and try it, then put it in the place of the running one. Live.")
        .def("noise_var", &ofdm_grid_chanest::noise_var, "Of the last window.")
        .def("restarts",
             &ofdm_grid_chanest::restarts,
             "Windows that began anew because symbols were lost.");
    bind_live(block);
}
