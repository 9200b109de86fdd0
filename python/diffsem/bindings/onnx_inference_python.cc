/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx_fields.h"

#include <gnuradio/diffsem/onnx_inference.h>

namespace {

using gr::diffsem::onnx_inference;
using gr::diffsem::onnx_inference_options;
using gr::diffsem::onnx_stream;

//! A name, or a dictionary of what a stream may be told.
onnx_stream stream_from(const py::handle& said, const std::string& list)
{
    onnx_stream s;
    if (py::isinstance<py::str>(said)) {
        s.name = said.cast<std::string>();
        return s;
    }
    if (!py::isinstance<py::dict>(said))
        throw py::value_error(list + ": give each port as a name, or as a dictionary with name, " +
                              "type, layout, shape, vlen");
    for (const auto& [key, value] : said.cast<py::dict>()) {
        const std::string name = py::str(key);
        try {
            if (name == "name")
                s.name = value.cast<std::string>();
            else if (name == "type")
                s.type = value.cast<std::string>();
            else if (name == "layout")
                s.layout = value.cast<std::string>();
            else if (name == "shape")
                s.shape = value.cast<std::vector<int>>();
            else if (name == "vlen")
                s.vlen = value.cast<int>();
            else
                throw py::value_error(list + ": '" + name +
                                      "' says nothing of a port. Give name, type, layout, "
                                      "shape, vlen");
        } catch (const py::cast_error&) {
            throw py::value_error(list + ": " + name + " is " + std::string(py::repr(value)) +
                                  ". Give a text for name, type, layout; a list of numbers for "
                                  "shape; a number for vlen");
        }
    }
    return s;
}

std::vector<onnx_stream> streams_from(const py::sequence& said, const std::string& list)
{
    std::vector<onnx_stream> streams;
    if (py::isinstance<py::str>(said))
        return {stream_from(said, list)};
    for (const auto& one : said)
        streams.push_back(stream_from(one, list));
    return streams;
}

} // namespace

void bind_onnx_inference(py::module& m)
{
    using o = onnx_inference_options;
    using in = onnx_fields<o>;

    py::class_<onnx_inference, gr::block, gr::basic_block, std::shared_ptr<onnx_inference>> block(
        m,
        "onnx_inference",
        "Runs any .onnx graph on streams: inputs and outputs of float, double, complex or int; on "
        "request on\n"
        "windows that overlap. Batches are filled from what waits; nothing is waited for. An "
        "inference that "
        "fails\n"
        "gives zeros or its input, tagged 'diffsem_bypassed'. Messages on 'stats'.");
    def_init<o>(
        block,
        &onnx_inference::make,
        std::make_tuple(onnx_model),
        std::tuple_cat(
            std::make_tuple(
                in::line("input_type",
                         &o::input_type,
                         "'float', 'double', 'complex' or 'int'; empty: as in the graph."),
                in::line("output_type", &o::output_type, "likewise.")),
            in::layouts(),
            std::make_tuple(
                in::line("in_vlen",
                         &o::in_vlen,
                         "elements of one input item; 0: all that one inference takes."),
                in::line("out_vlen",
                         &o::out_vlen,
                         "elements of one output item; 0: all that one inference gives.")),
            in::tensors(),
            std::make_tuple(
                in::line("max_batch", &o::max_batch, "inferences per call."),
                in::line("tag_items",
                         &o::tag_items,
                         "'diffsem_latency', 'diffsem_age', 'diffsem_model' on every inference.")),
            in::session(),
            std::make_tuple(
                in::line(
                    "inputs",
                    &o::inputs,
                    py::sequence(py::list()),
                    [](const py::sequence& said) { return streams_from(said, "inputs"); },
                    "several ports, instead of the parameters of one: a list of names or of "
                    "dictionaries\n"
                    "  with name, type, layout, shape, vlen."),
                in::line(
                    "outputs",
                    &o::outputs,
                    py::sequence(py::list()),
                    [](const py::sequence& said) { return streams_from(said, "outputs"); },
                    "likewise, without shape."),
                in::line("overlap",
                         &o::overlap,
                         "'none'; 'discard': windows of the graph's length that begin hop samples "
                         "apart, of whose\n"
                         "  answers hop samples are kept; 'add': weighted by a window, and added."),
                in::line("hop", &o::hop, "samples from one window to the next; 0: half a window."),
                in::line("window",
                         &o::window,
                         "of 'add': 'hann', 'sqrt_hann' (on input and output) or 'rectangular'."),
                in::line("keep", &o::keep, "of 'discard': 'centre' or 'tail'."),
                in::line("time_axis",
                         &o::time_axis,
                         "with overlap, of items with several dimensions: 'first' or 'last'.")),
            in::live(
                "'wait', 'bypass' or 'drop' (not with overlap), when inference is too slow.")));
    block.def("set_tag_items", &onnx_inference::set_tag_items, py::arg("tag_items"))
        .def("set_max_batch", &onnx_inference::set_max_batch, py::arg("max_batch"))
        .def("set_model",
             &onnx_inference::set_model,
             py::arg("model"),
             py::call_guard<py::gil_scoped_release>(),
             "Load and try another file with the same ports, then put it in the place of the "
             "running one. Live.")
        .def("in_ports", &onnx_inference::in_ports)
        .def("out_ports", &onnx_inference::out_ports)
        .def("in_vlen", &onnx_inference::in_vlen, py::arg("port") = 0)
        .def("out_vlen", &onnx_inference::out_vlen, py::arg("port") = 0)
        .def("in_type", &onnx_inference::in_type, py::arg("port") = 0)
        .def("out_type", &onnx_inference::out_type, py::arg("port") = 0)
        .def("window", &onnx_inference::window, "Samples of a window; 0 without overlap.")
        .def("hop", &onnx_inference::hop, "Samples from one window to the next; likewise.")
        .def("delay",
             &onnx_inference::delay,
             py::arg("port") = 0,
             "Items by which an output lags behind its input.");
    bind_live(block);
}
