/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The parameters that the blocks which run any .onnx graph have in common, as lines of fields.h. Private.
 */
#pragma once

#include "fields.h"

inline const needed<std::string> onnx_model{
    "model",
    "path of the .onnx file; what is left empty below is taken from its metadata, from its\n"
    "  sidecar model.onnx.json, then from the graph."};

template <typename Options>
struct onnx_fields : fields_of<Options> {
    using in = fields_of<Options>;

    static auto layouts()
    {
        return std::make_tuple(
            in::line(
                "layout",
                &Options::layout,
                "of complex elements in the tensors: 'planar' [2, ...], 'interleaved' [..., 2],\n"
                "  'magnitude_phase' [2, ...]."),
            in::line("output_layout", &Options::output_layout, "likewise, of the output."),
            in::line(
                "shape",
                &Options::shape,
                "of one input item in elements of the stream, where the graph leaves it open."));
    }
    static auto tensors()
    {
        return std::make_tuple(
            in::line("input", &Options::input, "name in the graph; empty: the first."),
            in::line("output", &Options::output, "likewise."),
            in::line(
                "batch_axis",
                &Options::batch_axis,
                "the dimension that counts inferences, 'none' or its number; empty: the first, if\n"
                "  it is open or 1 and the graph keeps its rows apart."),
            in::line("constants",
                     &Options::constants,
                     "JSON with a number or lists of numbers for each input that is not streamed,\n"
                     "  '{\"h0\": 0, \"w\": [1, 2]}'."),
            in::line("state",
                     &Options::state,
                     "JSON with inputs that take what an output gave in the inference before,\n"
                     "  '{\"h0\": \"hn\"}'; first their constants, or 0."),
            in::line("reset_tag",
                     &Options::reset_tag,
                     "name of the tag (of PDUs: of the key) by which the state begins anew."));
    }
    static auto session()
    {
        return std::make_tuple(in::line("device", &Options::device, "'cpu', 'cuda' or 'cuda:N'."),
                               in::line("intra_op_threads",
                                        &Options::intra_op_threads,
                                        "of ONNX Runtime, inside one operator."),
                               in::line("spinning", &Options::spinning, "its idle threads spin."),
                               in::line("onnxruntime",
                                        &Options::onnxruntime,
                                        "path of libonnxruntime.so; empty: searched."));
    }
};
