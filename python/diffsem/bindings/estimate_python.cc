/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "bindings.h"

#include <gnuradio/diffsem/estimate.h>

void bind_estimate(py::module& m)
{
    using gr::diffsem::estimate;
    using gr::diffsem::estimate_options;
    using gr::diffsem::scheme;
    const estimate_options defaults;

    py::class_<estimate, gr::block, gr::basic_block, std::shared_ptr<estimate>> block(
        m,
        "estimate",
        "Posterior estimate of complex vectors under a learned prior.\n\n"
        "Input: y = A x + n, complex vectors of M elements. Outputs: the estimate (complex, N), "
        "then\n"
        "as asked for its error variance (float, N) and a classical baseline (complex, N).\n"
        "An item that cannot be estimated passes as it is and is counted. Messages on 'stats'.");
    block
        .def(
            py::init([](const scheme::sptr& scheme,
                        const std::string& noise,
                        float noise_var,
                        const std::string& noise_tag,
                        const std::vector<int>& null_carriers,
                        float delay_window,
                        float noise_averaging,
                        const std::vector<int>& observed,
                        std::size_t item_size,
                        const py::object& matrix,
                        int steps,
                        float eta,
                        uint64_t seed,
                        int max_batch,
                        bool variance_output,
                        bool baseline_output,
                        bool tag_items,
                        double deadline,
                        const std::string& overload,
                        int fault_limit) {
                estimate_options o;
                o.noise = noise;
                o.noise_var = noise_var;
                o.noise_tag = noise_tag;
                o.null_carriers = null_carriers;
                o.delay_window = delay_window;
                o.noise_averaging = noise_averaging;
                o.observed = observed;
                o.item_size = item_size;
                if (!matrix.is_none()) {
                    const auto a = py::cast<
                        py::array_t<gr_complex, py::array::c_style | py::array::forcecast>>(matrix);
                    o.matrix.assign(a.data(), a.data() + a.size());
                }
                o.steps = steps;
                o.eta = eta;
                o.seed = seed;
                o.max_batch = max_batch;
                o.variance_output = variance_output;
                o.baseline_output = baseline_output;
                o.tag_items = tag_items;
                o.live = live_of(deadline, overload, fault_limit);
                return estimate::make(scheme, o);
            }),
            py::arg("scheme"),
            py::arg("noise") = defaults.noise,
            py::arg("noise_var") = defaults.noise_var,
            py::arg("noise_tag") = defaults.noise_tag,
            py::arg("null_carriers") = defaults.null_carriers,
            py::arg("delay_window") = defaults.delay_window,
            py::arg("noise_averaging") = defaults.noise_averaging,
            py::arg("observed") = defaults.observed,
            py::arg("item_size") = defaults.item_size,
            py::arg("matrix") = py::none(),
            py::arg("steps") = defaults.steps,
            py::arg("eta") = defaults.eta,
            py::arg("seed") = defaults.seed,
            py::arg("max_batch") = defaults.max_batch,
            py::arg("variance_output") = defaults.variance_output,
            py::arg("baseline_output") = defaults.baseline_output,
            py::arg("tag_items") = defaults.tag_items,
            py::arg("deadline") = defaults.live.deadline,
            py::arg("overload") = defaults.live.overload,
            py::arg("fault_limit") = defaults.live.fault_limit,
            "scheme: handle or name.\n"
            "noise: where the noise variance comes from: 'parameter', 'tag', 'null_carriers',\n"
            "  'repeated' (an input item holds two receptions), 'repeated_pairs' (two input items "
            "are\n"
            "  receptions of the same), 'delay_tail'.\n"
            "noise_var: E|n|^2 per complex element of the input; with 'tag', until the first tag.\n"
            "noise_tag: key of the tag (double); a tag 'snr' (double, dB) serves as well.\n"
            "null_carriers: indices where nothing is sent.\n"
            "delay_window: samples within which the channel has its taps; 0: N/4.\n"
            "noise_averaging: weight of the newest blind estimate, above 0 to 1 (no memory).\n"
            "observed: indices that are measured; empty: all but null_carriers.\n"
            "item_size: N, for schemes that take any length.\n"
            "matrix: M x N, for schemes that measure through one; None: the package's own.\n"
            "steps, eta: 0 and < 0: the scheme's own. seed: of random schemes.\n"
            "max_batch: items per inference.\n"
            "variance_output, baseline_output: further outputs.\n"
            "tag_items: tag what was done to every output item.\n"
            "deadline: milliseconds from an item's arrival to its output; 0: none.\n"
            "overload: 'wait', 'fewer_steps', 'bypass' or 'drop', when inference is too slow.\n"
            "fault_limit: failed inferences in a row that switch the scheme off; 0: never.")
        .def("set_steps", &estimate::set_steps, py::arg("steps"))
        .def("set_eta", &estimate::set_eta, py::arg("eta"))
        .def("set_seed", &estimate::set_seed, py::arg("seed"))
        .def("set_noise_var", &estimate::set_noise_var, py::arg("noise_var"))
        .def("set_tag_items", &estimate::set_tag_items, py::arg("tag_items"))
        .def("set_scheme",
             &estimate::set_scheme,
             py::arg("scheme"),
             py::call_guard<py::gil_scoped_release>(),
             "Load and try it, then put it in the place of the running one. Live.")
        .def("noise_var", &estimate::noise_var);
    bind_live(block);
}
