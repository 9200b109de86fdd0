/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How streams meet a graph: decided once, from the file, its metadata and the user's options.
 */
#pragma once

#include <gnuradio/diffsem/core/onnx/onnx_runner.h>

#include "onnx/onnx_layout.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! One end of the graph and the stream that it is bound to.
struct StreamEnd {
    OrtTensor tensor; // batch dimension dynamic unless fixed
    StreamType stream = StreamType::real;
    Layout layout = Layout::planar;
    std::size_t width = 0;           // scalars of the tensor in one inference
    std::size_t elements = 0;        // of the stream in one inference
    std::vector<std::int64_t> shape; // of these elements, without dimensions of 1
};

struct GraphPlan {
    struct Constant {
        OrtTensor tensor;
        double value;
    };
    std::vector<StreamEnd> inputs, outputs;
    std::vector<Constant> constants;
    std::size_t max_batch = 1;
    bool fixed = false; // the graph computes max_batch, whatever waits
    std::string note;

    //! All that the runtime is bound to: streams, then constants.
    std::vector<OrtTensor> input_tensors() const;
};

constexpr std::size_t max_stream_elements = std::size_t(1) << 24; // of one inference

//! All but the outputs' shapes, which only a run can tell.
GraphPlan plan_graph(const OnnxFile& file, const OnnxRunnerOptions& options);

//! Runs the graph on zeros and completes the plan with what comes out.
void learn_outputs(const OnnxFile& file,
                   const OrtSession& session,
                   const OnnxRunnerOptions& options,
                   GraphPlan& plan);

} // namespace core
} // namespace diffsem
} // namespace gr
