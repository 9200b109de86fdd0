/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What stands behind a denoiser's x and level. Private.
 */
#pragma once

#include "priors/denoiser_spec.h"

namespace gr {
namespace diffsem {
namespace core {

//! What stands behind x and the level: each input is a condition, each condition an input. Throws Error.
void read_conditions(const OnnxFile& file, const Json& said, DenoiserSpec& spec);

} // namespace core
} // namespace diffsem
} // namespace gr
