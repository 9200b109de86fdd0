/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "onnx_fields.h"

#include <gnuradio/diffsem/onnx_inference_pdu.h>

void bind_onnx_inference_pdu(py::module& m)
{
    using gr::diffsem::onnx_inference_pdu;
    using o = gr::diffsem::onnx_inference_pdu_options;
    using in = onnx_fields<o>;

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
        std::make_tuple(onnx_model),
        std::tuple_cat(
            std::make_tuple(
                in::line(
                    "input_type",
                    &o::input_type,
                    "'float' (f32, u8, s32vectors), 'double' (these and f64vectors), 'complex' "
                    "(c32vectors)\n"
                    "  or 'int' (u8, s32vectors)."),
                in::line("output_type",
                         &o::output_type,
                         "'float', 'double', 'complex', 'int' or 'byte'.")),
            in::layouts(),
            std::make_tuple(
                in::line("workers", &o::workers, "inferences at one time, 1 to 64."),
                in::line("queue", &o::queue, "PDUs that may wait, 1 to 65536."),
                in::line("overload",
                         &o::overload,
                         "which PDU goes when the queue is full, 'drop_newest' or 'drop_oldest'.")),
            in::tensors(),
            in::session()));
    block.def("in_length", &onnx_inference_pdu::in_length)
        .def("out_length", &onnx_inference_pdu::out_length)
        .def("in_type", &onnx_inference_pdu::in_type)
        .def("out_type", &onnx_inference_pdu::out_type)
        .def("items_in", &onnx_inference_pdu::items_in)
        .def("items_out", &onnx_inference_pdu::items_out)
        .def("items_dropped", &onnx_inference_pdu::items_dropped)
        .def("items_bypassed", &onnx_inference_pdu::items_bypassed);
}
