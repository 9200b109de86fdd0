/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The derivative of a denoiser's graph, as a second graph beside it (docs/openings/network_operators.md).
 */
#pragma once

#include <gnuradio/diffsem/core/onnx/ort.h>

#include "priors/denoiser_spec.h"

#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * It has the inputs of the denoiser's graph and one more, v, and answers J^T v, J the derivative of the graph's first output
 * by its first input, both in the graph's own layout and units.
 */
struct DenoiserVjp {
    //! Throws Error where it does not fit the denoiser at `path`.
    DenoiserVjp(const OnnxFile& file,
                const std::string& path,
                const DenoiserSpec& spec,
                const OrtOptions& options);

    std::shared_ptr<const OrtSession> session;
    std::vector<OrtTensor> inputs, outputs; //!< the last input is v
};

//! Throws Error where `error`, of derivative_error(), is that of another denoiser's derivative.
void check_denoiser_vjp(double error, const std::string& vjp, const std::string& path);

} // namespace core
} // namespace diffsem
} // namespace gr
