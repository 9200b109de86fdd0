/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "fields.h"

#include <gnuradio/diffsem/onnx_inference_pdu.h>

void bind_onnx_inference_pdu(py::module& m)
{
    using gr::diffsem::onnx_inference_pdu;
    using o = gr::diffsem::onnx_inference_pdu_options;
    using in = fields_of<o>;

    py::class_<onnx_inference_pdu, gr::block, gr::basic_block, std::shared_ptr<onnx_inference_pdu>>
        block(m,
              "onnx_inference_pdu",
              "Runs a slow .onnx graph on PDUs, several at a time: 'in' -> 'out', in order, each "
              "with "
              "what "
              "was done to it.\n"
              "What is too much is dropped and counted. Messages on 'stats'.");
    def_init<o>(
        block,
        &onnx_inference_pdu::make,
        std::make_tuple(needed<std::string>{"model",
                                            "path of the .onnx file; what is left empty below is "
                                            "taken from its metadata, from its\n"
                                            "  sidecar model.onnx.json, then from the graph."}),
        std::make_tuple(
            in::line(
                "input_type",
                &o::input_type,
                "'float' (f32, u8, s32vectors), 'complex' (c32vectors) or 'int' (u8, s32vectors)."),
            in::line("output_type", &o::output_type, "'float', 'complex', 'int' or 'byte'."),
            in::line(
                "layout",
                &o::layout,
                "of complex elements in the tensors: 'planar' [2, ...], 'interleaved' [..., 2],\n"
                "  'magnitude_phase' [2, ...]."),
            in::line("output_layout", &o::output_layout, "likewise, of the output."),
            in::line(
                "shape",
                &o::shape,
                "of one input item in elements of the stream, where the graph leaves it open."),
            in::line("workers", &o::workers, "inferences at one time, 1 to 64."),
            in::line("queue", &o::queue, "PDUs that may wait, 1 to 65536."),
            in::line("overload",
                     &o::overload,
                     "which PDU goes when the queue is full, 'drop_newest' or 'drop_oldest'."),
            in::line("input", &o::input, "name in the graph; empty: the first."),
            in::line("output", &o::output, "likewise."),
            in::line("batch_axis", &o::batch_axis, "'none' or its number."),
            in::line("constants",
                     &o::constants,
                     "JSON with a number for each input that is not streamed, '{\"h0\": 0}'."),
            in::line("device", &o::device, "'cpu', 'cuda' or 'cuda:N'."),
            in::line(
                "intra_op_threads", &o::intra_op_threads, "of ONNX Runtime, inside one operator."),
            in::line("spinning", &o::spinning, "its idle threads spin."),
            in::line(
                "onnxruntime", &o::onnxruntime, "path of libonnxruntime.so; empty: searched.")));
    block.def("in_length", &onnx_inference_pdu::in_length)
        .def("out_length", &onnx_inference_pdu::out_length)
        .def("in_type", &onnx_inference_pdu::in_type)
        .def("out_type", &onnx_inference_pdu::out_type)
        .def("items_in", &onnx_inference_pdu::items_in)
        .def("items_out", &onnx_inference_pdu::items_out)
        .def("items_dropped", &onnx_inference_pdu::items_dropped)
        .def("items_bypassed", &onnx_inference_pdu::items_bypassed);
}
