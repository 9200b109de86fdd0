/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Inputs of a graph that are not streamed: constants, and states that an output is fed back to.
 */
#pragma once

#include "onnx/onnx_plan.h"

#include <gnuradio/diffsem/core/base/json.h>

#include <cstddef>
#include <set>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

class GivenInputs
{
public:
    //! \p constants, \p state: JSON as the user said it; empty: what the metadata say. Names are checked.
    GivenInputs(const OnnxFile& file, const std::string& constants, const std::string& state);

    std::set<std::string> names() const; //!< of inputs that need no stream

    /*!
     * Puts all inputs but the streamed ones into the plan; throws Error for one without values.
     * \param fixed_batch the batch that the streams are of; 0: any
     */
    void read(const std::vector<StreamedInput>& streamed,
              std::size_t fixed_batch,
              GraphPlan& plan) const;

private:
    OrtTensor bind(const TensorInfo& input,
                   const std::vector<StreamedInput>& streamed,
                   std::size_t fixed_batch,
                   std::vector<double>& values,
                   GraphPlan& plan) const;
    bool is_state(const std::string& name) const { return !d_state[name].is_null(); }

    const OnnxFile& d_file;
    bool d_constants_said;
    Json d_constants, d_state;
};

//! The outputs that states read, which need no stream.
std::set<std::string> state_outputs(const OnnxFile& file, const std::string& state);

} // namespace core
} // namespace diffsem
} // namespace gr
