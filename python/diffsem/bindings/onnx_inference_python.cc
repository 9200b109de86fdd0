/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "bindings.h"

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
    const onnx_inference_options defaults;

    py::class_<onnx_inference, gr::block, gr::basic_block, std::shared_ptr<onnx_inference>> block(
        m,
        "onnx_inference",
        "Runs any .onnx graph on streams: inputs and outputs of float, complex or int; on request "
        "on\n"
        "windows that overlap. Batches are filled from what waits; nothing is waited for. An "
        "inference that "
        "fails\n"
        "gives zeros or its input, tagged 'diffsem_bypassed'. Messages on 'stats'.");
    block
        .def(
            py::init([](const std::string& model,
                        const std::string& input_type,
                        const std::string& output_type,
                        const std::string& layout,
                        const std::string& output_layout,
                        const std::vector<int>& shape,
                        int in_vlen,
                        int out_vlen,
                        const std::string& input,
                        const std::string& output,
                        const std::string& batch_axis,
                        const std::string& constants,
                        int max_batch,
                        bool tag_items,
                        const std::string& device,
                        int intra_op_threads,
                        bool spinning,
                        const std::string& onnxruntime,
                        const py::sequence& inputs,
                        const py::sequence& outputs,
                        const std::string& overlap,
                        int hop,
                        const std::string& window,
                        const std::string& keep,
                        const std::string& time_axis,
                        double deadline,
                        const std::string& overload,
                        int fault_limit) {
                onnx_inference_options o;
                o.input_type = input_type;
                o.output_type = output_type;
                o.layout = layout;
                o.output_layout = output_layout;
                o.shape = shape;
                o.in_vlen = in_vlen;
                o.out_vlen = out_vlen;
                o.input = input;
                o.output = output;
                o.batch_axis = batch_axis;
                o.constants = constants;
                o.max_batch = max_batch;
                o.tag_items = tag_items;
                o.device = device;
                o.intra_op_threads = intra_op_threads;
                o.spinning = spinning;
                o.onnxruntime = onnxruntime;
                o.inputs = streams_from(inputs, "inputs");
                o.outputs = streams_from(outputs, "outputs");
                o.overlap = overlap;
                o.hop = hop;
                o.window = window;
                o.keep = keep;
                o.time_axis = time_axis;
                o.live = live_of(deadline, overload, fault_limit);
                return onnx_inference::make(model, o);
            }),
            py::arg("model"),
            py::arg("input_type") = defaults.input_type,
            py::arg("output_type") = defaults.output_type,
            py::arg("layout") = defaults.layout,
            py::arg("output_layout") = defaults.output_layout,
            py::arg("shape") = defaults.shape,
            py::arg("in_vlen") = defaults.in_vlen,
            py::arg("out_vlen") = defaults.out_vlen,
            py::arg("input") = defaults.input,
            py::arg("output") = defaults.output,
            py::arg("batch_axis") = defaults.batch_axis,
            py::arg("constants") = defaults.constants,
            py::arg("max_batch") = defaults.max_batch,
            py::arg("tag_items") = defaults.tag_items,
            py::arg("device") = defaults.device,
            py::arg("intra_op_threads") = defaults.intra_op_threads,
            py::arg("spinning") = defaults.spinning,
            py::arg("onnxruntime") = defaults.onnxruntime,
            py::arg("inputs") = py::list(),
            py::arg("outputs") = py::list(),
            py::arg("overlap") = defaults.overlap,
            py::arg("hop") = defaults.hop,
            py::arg("window") = defaults.window,
            py::arg("keep") = defaults.keep,
            py::arg("time_axis") = defaults.time_axis,
            py::arg("deadline") = defaults.live.deadline,
            py::arg("overload") = defaults.live.overload,
            py::arg("fault_limit") = defaults.live.fault_limit,
            "model: path of the .onnx file; what is left empty below is taken from its metadata, "
            "from\n"
            "  its sidecar model.onnx.json, then from the graph.\n"
            "input_type, output_type: 'float', 'complex' or 'int'.\n"
            "layout: of complex elements in the tensors: 'planar' [2, ...], 'interleaved' [..., "
            "2],\n"
            "  'magnitude_phase' [2, ...]. output_layout: likewise, of the output.\n"
            "shape: of one input item in elements of the stream, where the graph leaves it open.\n"
            "in_vlen, out_vlen: elements of one stream item; 0: all that one inference takes or "
            "gives.\n"
            "input, output: names in the graph. batch_axis: 'none' or its number.\n"
            "constants: JSON with a number for each input that is not streamed, '{\"h0\": 0}'.\n"
            "max_batch: inferences per call. tag_items: 'diffsem_latency', 'diffsem_age',\n"
            "  'diffsem_model' on every inference.\n"
            "device: 'cpu', 'cuda' or 'cuda:N'. intra_op_threads, spinning: of ONNX Runtime.\n"
            "onnxruntime: path of libonnxruntime.so; empty: searched.\n"
            "inputs, outputs: several ports, instead of the parameters of one: a list of names or "
            "of\n"
            "  dictionaries with name, type, layout, shape (of inputs), vlen.\n"
            "overlap: 'none'; 'discard': windows of the graph's length that begin hop samples "
            "apart, of\n"
            "  whose answers hop samples are kept, from the keep='centre' or 'tail'; 'add': "
            "weighted by the\n"
            "  window 'hann', 'sqrt_hann' (on input and output) or 'rectangular', and added.\n"
            "time_axis: with overlap, of items with several dimensions: 'first' or 'last'.\n"
            "deadline: milliseconds from an inference's arrival to its output; 0: none.\n"
            "overload: 'wait', 'bypass' or 'drop' (not with overlap), when inference is too slow.\n"
            "fault_limit: failed inferences in a row that switch the model off; 0: never.")
        .def("set_tag_items", &onnx_inference::set_tag_items, py::arg("tag_items"))
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
