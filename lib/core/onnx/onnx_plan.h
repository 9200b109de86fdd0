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

//! A streamed input before all agree on a batch.
struct StreamedInput {
    const TensorInfo* info = nullptr;
    StreamEnd end;
    std::vector<std::int64_t> dims; // of one item, in the tensor
    int axis = -1;                  // that counts inferences; none: -1
    bool counted = true;            // somebody said so, or there is no other way to read it
    std::size_t fixed = 0;          // the batch that the graph insists on; 0: any
};

struct GraphPlan {
    struct Constant {
        OrtTensor tensor;
        std::vector<double> values; // of one inference, or one for all elements
    };
    //! An input that takes what an output of the inference before gave.
    struct State {
        OrtTensor tensor;
        std::vector<double> values; // before the first
        std::string output;
        std::size_t index = 0; // of that output among output_tensors()
    };
    std::vector<StreamEnd> inputs, outputs;
    std::vector<Constant> constants;
    std::vector<State> states;
    std::vector<OrtTensor> unseen; // outputs that go to no stream, only to states
    //! While the plan is made: an input whose open first dimension is taken for a batch, though nobody said so.
    const TensorInfo* doubtful = nullptr;
    std::string apart; // why inferences cannot be computed together; empty: they may
    std::size_t max_batch = 1;
    bool fixed = false; // the graph computes max_batch, whatever waits
    std::string note;

    //! All that the runtime is bound to: streams, then constants, then states.
    std::vector<OrtTensor> input_tensors() const;
    std::vector<OrtTensor> output_tensors() const; //!< streams, then what only states read
};

constexpr std::size_t max_stream_elements = std::size_t(1) << 24; // of one inference

//! All but the outputs' shapes, which only a run can tell.
GraphPlan plan_graph(const OnnxFile& file, const OnnxRunnerOptions& options);

/*!
 * Runs the graph on zeros for the shapes of these outputs (of which the first so many are streamed), and on random rows
 * to see whether they keep apart: only then are inferences computed together. Throws Error where an open first dimension
 * turns out to count no inferences.
 */
void settle_batch(const OnnxFile& file,
                  const OrtSession& session,
                  const std::vector<std::string>& names,
                  std::size_t streamed,
                  GraphPlan& plan);

//! Runs the graph and completes the plan with what comes out.
void learn_outputs(const OnnxFile& file,
                   const OrtSession& session,
                   const OnnxRunnerOptions& options,
                   GraphPlan& plan);

} // namespace core
} // namespace diffsem
} // namespace gr
