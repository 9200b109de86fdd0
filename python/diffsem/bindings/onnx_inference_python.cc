/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "bindings.h"

#include <gnuradio/diffsem/onnx_inference.h>

void bind_onnx_inference(py::module& m)
{
    using gr::diffsem::onnx_inference;
    using gr::diffsem::onnx_inference_options;
    const onnx_inference_options defaults;

    py::class_<onnx_inference, gr::block, gr::basic_block, std::shared_ptr<onnx_inference>>(
        m,
        "onnx_inference",
        "Runs any .onnx graph on a stream: one input (float or complex), one output (float, "
        "complex\n"
        "or int). Batches are filled from what waits; nothing is waited for. An inference that "
        "fails\n"
        "gives zeros or its input, tagged 'diffsem_bypassed'. Messages on 'stats'.")
        .def(py::init([](const std::string& model,
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
                         const std::string& onnxruntime) {
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
             "model: path of the .onnx file; what is left empty below is taken from its metadata, "
             "from\n"
             "  its sidecar model.onnx.json, then from the graph.\n"
             "input_type: 'float' or 'complex'. output_type: 'float', 'complex' or 'int'.\n"
             "layout: of complex elements in the tensors: 'planar' [2, ...], 'interleaved' [..., "
             "2],\n"
             "  'magnitude_phase' [2, ...]. output_layout: likewise, of the output.\n"
             "shape: of one input item in elements of the stream, where the graph leaves it open.\n"
             "in_vlen, out_vlen: elements of one stream item; 0: all that one inference takes or "
             "gives.\n"
             "input, output: names in the graph. batch_axis: 'none' or its number.\n"
             "constants: JSON with a number for each further input, '{\"h0\": 0}'.\n"
             "max_batch: inferences per call. tag_items: 'diffsem_latency' on every inference.\n"
             "device: 'cpu', 'cuda' or 'cuda:N'. intra_op_threads, spinning: of ONNX Runtime.\n"
             "onnxruntime: path of libonnxruntime.so; empty: searched.")
        .def("set_tag_items", &onnx_inference::set_tag_items, py::arg("tag_items"))
        .def("set_max_batch", &onnx_inference::set_max_batch, py::arg("max_batch"))
        .def("in_vlen", &onnx_inference::in_vlen)
        .def("out_vlen", &onnx_inference::out_vlen)
        .def("in_type", &onnx_inference::in_type)
        .def("out_type", &onnx_inference::out_type)
        .def("items_in", &onnx_inference::items_in)
        .def("items_out", &onnx_inference::items_out)
        .def("items_bypassed", &onnx_inference::items_bypassed);
}
