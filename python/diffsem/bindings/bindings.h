/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the bindings share. Private.
 */
#pragma once

#include <pybind11/complex.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <gnuradio/diffsem/live_inference.h>

namespace py = pybind11;

//! The methods of live_inference, as if they were the block's own.
template <typename Class>
void bind_live(Class& block)
{
    using gr::diffsem::live_inference;
    using B = typename Class::type;
    const auto get = [](auto member) { return [member](B& b) { return (b.live().*member)(); }; };
    block
        .def(
            "set_deadline",
            [](B& b, double milliseconds) { b.live().set_deadline(milliseconds); },
            py::arg("milliseconds"),
            "Time from when an item's last sample entered the flowgraph to its output; 0: none. "
            "Live.")
        .def(
            "set_overload",
            [](B& b, const std::string& overload) { b.live().set_overload(overload); },
            py::arg("overload"),
            "What happens when inference is slower than the input. Live.")
        .def(
            "set_fault_limit",
            [](B& b, int faults) { b.live().set_fault_limit(faults); },
            py::arg("faults"),
            "Failed inferences in a row that switch the scheme off; 0: never. Live.")
        .def("items_in", get(&live_inference::items_in), "Equals items_out() + items_dropped().")
        .def("items_out", get(&live_inference::items_out))
        .def("items_dropped", get(&live_inference::items_dropped))
        .def("items_bypassed", get(&live_inference::items_bypassed), "Of those that came out.")
        .def("items_guarded",
             get(&live_inference::items_guarded),
             "Of those that came out: the fallback answered, since the estimate contradicted its "
             "measurement.")
        .def("items_few_observed",
             get(&live_inference::items_few_observed),
             "Of those that came out: the fallback answered, since fewer elements were observed "
             "than the scheme's member is for.")
        .def("faults", get(&live_inference::faults), "Inferences that failed.")
        .def("swaps", get(&live_inference::swaps), "Schemes that took another's place.")
        .def("disabled", get(&live_inference::disabled), "Too many inferences failed in a row.")
        .def("age_max", get(&live_inference::age_max), "Seconds, as the deadline counts, longest.")
        .def("model",
             get(&live_inference::model),
             "12 hex digits of the content hash, and the member.")
        .def(
            "age_quantile",
            [](B& b, double share) { return b.live().age_quantile(share); },
            py::arg("share"),
            "Seconds, as the deadline counts, that this share (0..1) of the items kept.");
}
