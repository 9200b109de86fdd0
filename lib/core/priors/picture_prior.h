/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A network that completes photographs of any size: docs/model_contract.md, "Photographs".
 */
#pragma once

#include <gnuradio/diffsem/core/onnx/onnx_file.h>
#include <gnuradio/diffsem/core/priors/prior.h>

#include <memory>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * A prior of pictures [3, rows, columns] whose levels are of their cosine transform: sigma holds the deviation of the error of
 * each coefficient, the answer's variance the error that the network leaves in each. Of both it knows means over
 * bands, as many of luma as of the other colours. The context "spectrum" holds the variance of each coefficient.
 * Throws Error where metadata and graph do not agree with the contract.
 */
std::shared_ptr<const Prior> make_picture_prior(const OnnxFile& file, const LoadOptions& options);

} // namespace core
} // namespace diffsem
} // namespace gr
