/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "bindings.h"

#include <gnuradio/diffsem/onnx_inference_pdu.h>

void bind_onnx_inference_pdu(py::module& m)
{
    using gr::diffsem::onnx_inference_pdu;
    using gr::diffsem::onnx_inference_pdu_options;
    const onnx_inference_pdu_options defaults;

    py::class_<onnx_inference_pdu, gr::block, gr::basic_block, std::shared_ptr<onnx_inference_pdu>>(
        m,
        "onnx_inference_pdu",
        "Runs a slow .onnx graph on PDUs, several at a time: 'in' -> 'out', in order, each with "
        "what "
        "was done to it.\n"
        "What is too much is dropped and counted. Messages on 'stats'.")
        .def(py::init([](const std::string& model,
                         const std::string& input_type,
                         const std::string& output_type,
                         const std::string& layout,
                         const std::string& output_layout,
                         const std::vector<int>& shape,
                         int workers,
                         int queue,
                         const std::string& overload,
                         const std::string& input,
                         const std::string& output,
                         const std::string& batch_axis,
                         const std::string& constants,
                         const std::string& device,
                         int intra_op_threads,
                         bool spinning,
                         const std::string& onnxruntime) {
                 onnx_inference_pdu_options o;
                 o.input_type = input_type;
                 o.output_type = output_type;
                 o.layout = layout;
                 o.output_layout = output_layout;
                 o.shape = shape;
                 o.workers = workers;
                 o.queue = queue;
                 o.overload = overload;
                 o.input = input;
                 o.output = output;
                 o.batch_axis = batch_axis;
                 o.constants = constants;
                 o.device = device;
                 o.intra_op_threads = intra_op_threads;
                 o.spinning = spinning;
                 o.onnxruntime = onnxruntime;
                 return onnx_inference_pdu::make(model, o);
             }),
             py::arg("model"),
             py::arg("input_type") = defaults.input_type,
             py::arg("output_type") = defaults.output_type,
             py::arg("layout") = defaults.layout,
             py::arg("output_layout") = defaults.output_layout,
             py::arg("shape") = defaults.shape,
             py::arg("workers") = defaults.workers,
             py::arg("queue") = defaults.queue,
             py::arg("overload") = defaults.overload,
             py::arg("input") = defaults.input,
             py::arg("output") = defaults.output,
             py::arg("batch_axis") = defaults.batch_axis,
             py::arg("constants") = defaults.constants,
             py::arg("device") = defaults.device,
             py::arg("intra_op_threads") = defaults.intra_op_threads,
             py::arg("spinning") = defaults.spinning,
             py::arg("onnxruntime") = defaults.onnxruntime,
             "model: path of the .onnx file; what is left empty below is taken from its metadata, "
             "from\n"
             "  its sidecar model.onnx.json, then from the graph.\n"
             "input_type: 'float' (f32, u8, s32vectors), 'complex' (c32vectors) or 'int' (u8, "
             "s32vectors).\n"
             "output_type: 'float', 'complex', 'int' or 'byte'.\n"
             "layout, output_layout, shape, input, output, batch_axis, constants: as "
             "onnx_inference.\n"
             "workers: inferences at one time, 1 to 64. queue: PDUs that may wait, 1 to 65536.\n"
             "overload: which PDU goes when the queue is full, 'drop_newest' or 'drop_oldest'.\n"
             "device: 'cpu', 'cuda' or 'cuda:N'. intra_op_threads, spinning: of ONNX Runtime.\n"
             "onnxruntime: path of libonnxruntime.so; empty: searched.")
        .def("in_length", &onnx_inference_pdu::in_length)
        .def("out_length", &onnx_inference_pdu::out_length)
        .def("in_type", &onnx_inference_pdu::in_type)
        .def("out_type", &onnx_inference_pdu::out_type)
        .def("items_in", &onnx_inference_pdu::items_in)
        .def("items_out", &onnx_inference_pdu::items_out)
        .def("items_dropped", &onnx_inference_pdu::items_dropped)
        .def("items_bypassed", &onnx_inference_pdu::items_bypassed);
}
