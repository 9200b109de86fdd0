/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a user says of a graph, as the core asks for it. Private.
 */
#pragma once

#include <gnuradio/diffsem/core/onnx/onnx_runner.h>
#include <gnuradio/diffsem/onnx_graph.h>

namespace gr {
namespace diffsem {

//! All but the streams.
inline core::OnnxRunnerOptions runner_options(const onnx_graph_options& options, int max_batch)
{
    core::OnnxRunnerOptions o;
    o.batch_axis = options.batch_axis;
    o.constants = options.constants;
    o.state = options.state;
    o.max_batch = max_batch;
    o.ort.library = options.onnxruntime;
    o.ort.device = options.device;
    o.ort.intra_op_threads = options.intra_op_threads;
    o.ort.spinning = options.spinning;
    return o;
}

} // namespace diffsem
} // namespace gr
