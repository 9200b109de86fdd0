/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "fields.h"
#include "run_estimator.h"

#include <gnuradio/diffsem/estimate_joint.h>

void bind_estimate_joint(py::module& m)
{
    using gr::diffsem::estimate_joint;
    using gr::diffsem::estimate_joint_options;
    using gr::diffsem::scheme;
    using in = fields_of<estimate_joint_options>;
    using o = estimate_joint_options;

    py::class_<estimate_joint, gr::block, gr::basic_block, std::shared_ptr<estimate_joint>> block(
        m,
        "estimate_joint",
        "Posterior estimate of several unknowns from one measurement, such as Y = H X + N.\n\n"
        "Input: complex vectors of M elements. Outputs: the estimate of each unknown (complex), in "
        "the\n"
        "scheme's order, then as asked for their error variances (float). Messages on 'stats'.");
    def_init<estimate_joint_options>(
        block,
        &estimate_joint::make,
        std::make_tuple(needed<scheme::sptr>{"scheme", "handle or name."}),
        std::tuple_cat(
            std::make_tuple(
                in::line("noise",
                         &o::noise,
                         "where the noise variance comes from: 'parameter' or 'tag'."),
                in::line("noise_var",
                         &o::noise_var,
                         "E|n|^2 per complex element of the input; with 'tag', until the first "
                         "tag."),
                in::line("noise_tag", &o::noise_tag, "key of the tag (double)."),
                in::line("item_size", &o::item_size, "M; 0: the scheme's."),
                in::line("output_sizes",
                         &o::output_sizes,
                         "elements of each unknown; empty: the scheme's."),
                in::line("rounds", &o::rounds, "of updates; 0: the scheme's own."),
                in::line("eta", &o::eta, "of random samplers; < 0: the scheme's own."),
                in::line("seed", &o::seed, "of random schemes."),
                in::line("condition",
                         &o::condition,
                         py::object(py::none()),
                         gr::diffsem::conditions_from,
                         "{name: values} that conditional priors of the unknowns are told."),
                in::line("max_batch", &o::max_batch, "items in a call."),
                in::line("variance_output",
                         &o::variance_output,
                         "output the error variance of each unknown."),
                in::line("tag_items", &o::tag_items, "tag what was done to every output item.")),
            in::live("'wait', 'fewer_steps', 'bypass' or 'drop', when inference is too slow.")));
    block.def("set_rounds", &estimate_joint::set_rounds, py::arg("rounds"))
        .def("set_eta", &estimate_joint::set_eta, py::arg("eta"))
        .def("set_seed", &estimate_joint::set_seed, py::arg("seed"))
        .def("set_noise_var", &estimate_joint::set_noise_var, py::arg("noise_var"))
        .def("set_tag_items", &estimate_joint::set_tag_items, py::arg("tag_items"))
        .def("set_scheme",
             &estimate_joint::set_scheme,
             py::arg("scheme"),
             py::call_guard<py::gil_scoped_release>(),
             "Load and try it, then put it in the place of the running one. Live.")
        .def("noise_var", &estimate_joint::noise_var);
    bind_live(block);
}
