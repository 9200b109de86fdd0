/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where a picture has structure, and so where its estimate errs.
 */
#pragma once

#include "operators/dct.h"

#include <cstddef>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Band of a coefficient k of [rows, columns]: 0 below 1/16 of Nyquist's frequency, then octaves, 1 to 4.
std::size_t frequency_octave(std::size_t k, std::size_t rows, std::size_t columns);

/*!
 * Shares of a variance, [rows, columns] of mean 1, from the coefficients of a picture's mean (used up): the smoothed
 * local power of what lies above an eighth of Nyquist's frequency, to `exponent`. A posterior mean errs where there is
 * structure, not in the sky.
 */
std::vector<double>
local_activity(const PhotoTransform& transform, std::vector<float> coefficients, double exponent);

} // namespace core
} // namespace diffsem
} // namespace gr
