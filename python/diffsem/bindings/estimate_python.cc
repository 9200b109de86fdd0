/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "fields.h"
#include "run_estimator.h"

#include <gnuradio/diffsem/estimate.h>

namespace {

std::vector<gr_complex> matrix_from(const py::object& matrix)
{
    if (matrix.is_none())
        return {};
    const auto a = gr::diffsem::matrix_array(matrix);
    return {a.data(), a.data() + a.size()};
}

} // namespace

void bind_estimate(py::module& m)
{
    using gr::diffsem::estimate;
    using gr::diffsem::estimate_options;
    using gr::diffsem::scheme;
    using in = fields_of<estimate_options>;
    using o = estimate_options;

    py::class_<estimate, gr::block, gr::basic_block, std::shared_ptr<estimate>> block(
        m,
        "estimate",
        "Posterior estimate of vectors under a learned prior.\n\n"
        "Input: y = A x + n, vectors of M elements: complex, of a real scheme float. Outputs: the "
        "estimate\n"
        "(as the input, N), then as asked for its error variance (float, N) and a classical "
        "baseline (N).\n"
        "An item that cannot be estimated passes as it is and is counted. Messages on 'stats'.");
    def_init<estimate_options>(
        block,
        &estimate::make,
        std::make_tuple(needed<scheme::sptr>{"scheme", "handle or name."}),
        std::tuple_cat(
            std::make_tuple(
                in::line("noise",
                         &o::noise,
                         "where the noise variance comes from: 'parameter', 'tag', "
                         "'null_carriers',\n"
                         "  'repeated' (an input item holds two receptions), 'repeated_pairs' (two "
                         "input items are\n"
                         "  receptions of the same), 'delay_tail'."),
                in::line("noise_var",
                         &o::noise_var,
                         "E|n|^2 per complex element of the input; with 'tag', until the first "
                         "tag."),
                in::line("noise_tag",
                         &o::noise_tag,
                         "key of the tag (double); a tag 'snr' (double, dB) serves as well."),
                in::line("null_carriers", &o::null_carriers, "indices where nothing is sent."),
                in::line("delay_window",
                         &o::delay_window,
                         "samples within which the channel has its taps; 0: N/4."),
                in::line("noise_averaging",
                         &o::noise_averaging,
                         "weight of the newest blind estimate, above 0 to 1 (no memory)."),
                in::line("noise_freedom",
                         &o::noise_freedom,
                         "elements of noise that a variance given here or by tags was measured "
                         "on; 0: exact."),
                in::line("observed",
                         &o::observed,
                         "indices that are measured; empty: all but null_carriers."),
                in::line("item_size", &o::item_size, "N, for schemes that take any length."),
                in::line("matrix",
                         &o::matrix,
                         py::object(py::none()),
                         matrix_from,
                         "M x N, for schemes that measure through one; None: the package's own."),
                in::line("steps", &o::steps, "evaluations of the prior; 0: the scheme's own."),
                in::line("eta", &o::eta, "of random samplers; < 0: the scheme's own."),
                in::line("seed", &o::seed, "of random schemes."),
                in::line("max_batch", &o::max_batch, "items per inference."),
                in::line("domain",
                         &o::domain,
                         "'complex' or 'real': the scheme must be of it; '': whichever it is of."),
                in::line("condition",
                         &o::condition,
                         py::object(py::none()),
                         gr::diffsem::conditions_from,
                         "{name: values} that a conditional prior is told; None: what the scheme "
                         "says."),
                in::line("content_size",
                         &o::content_size,
                         "elements of the content that the scheme's codec makes; 0: the scheme's."),
                in::line("draws",
                         &o::draws,
                         "draws from the posterior of each item, at an output of their own; 0: "
                         "none."),
                in::line("variance_output", &o::variance_output, "output the error variance."),
                in::line("baseline_output", &o::baseline_output, "output the classical estimate."),
                in::line("latent_output",
                         &o::latent_output,
                         "of a scheme with a codec: output the latent that was inferred."),
                in::line("tag_items", &o::tag_items, "tag what was done to every output item.")),
            in::live("'wait', 'fewer_steps', 'bypass' or 'drop', when inference is too slow.")));
    block.def("set_steps", &estimate::set_steps, py::arg("steps"))
        .def("set_eta", &estimate::set_eta, py::arg("eta"))
        .def("set_seed", &estimate::set_seed, py::arg("seed"))
        .def("set_noise_var", &estimate::set_noise_var, py::arg("noise_var"))
        .def("set_tag_items", &estimate::set_tag_items, py::arg("tag_items"))
        .def(
            "set_condition",
            [](estimate& self, const std::string& name, const py::object& values) {
                self.set_condition(name, gr::diffsem::condition_values(name, values));
            },
            py::arg("name"),
            py::arg("values"),
            "What a conditional prior is told from now on: a number, or an array. Live.")
        .def(
            "set_condition",
            [](estimate& self, const py::object& condition) {
                for (const auto& [name, values] : gr::diffsem::conditions_from(condition))
                    self.set_condition(name, values);
            },
            py::arg("condition"),
            "The same of several: {name: values}; None changes nothing. Live.")
        .def("set_scheme",
             &estimate::set_scheme,
             py::arg("scheme"),
             py::call_guard<py::gil_scoped_release>(),
             "Load and try it, then put it in the place of the running one. Live.")
        .def("noise_var", &estimate::noise_var);
    bind_live(block);
}
