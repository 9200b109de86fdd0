/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How a stream meets a graph: decided once, from the file, its metadata and the user's options.
 */
#pragma once

#include <gnuradio/diffsem/core/onnx_runner.h>

#include "onnx_denoiser_spec.h"

namespace gr {
namespace diffsem {
namespace core {

//! One end of the graph and the stream that it is bound to.
struct StreamEnd {
    OrtTensor tensor; // batch dimension dynamic unless fixed
    StreamType stream = StreamType::real;
    Layout layout = Layout::planar;
    std::size_t width = 0;    // scalars of the tensor in one inference
    std::size_t elements = 0; // of the stream in one inference
};

struct GraphPlan {
    struct Constant {
        OrtTensor tensor;
        double value;
    };
    StreamEnd in, out;
    std::vector<Constant> constants;
    std::size_t max_batch = 1;
    bool fixed = false; // the graph computes max_batch, whatever waits
    std::string note;
};

//! All but the output's shape, which only a run can tell.
GraphPlan plan_graph(const OnnxFile& file, const OnnxRunnerOptions& options);

//! Runs the graph on zeros and completes the plan with what comes out.
void learn_output(const OnnxFile& file,
                  const OrtSession& session,
                  const OnnxRunnerOptions& options,
                  GraphPlan& plan);

} // namespace core
} // namespace diffsem
} // namespace gr
