/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Clipping of the magnitude of samples.
 */
#pragma once

#include <gnuradio/diffsem/core/base/types.h>

#include <cstddef>

namespace gr {
namespace diffsem {
namespace core {

//! Largest power of a sample that is \p papr_db (0 or more; infinite: no limit) above \p mean_power.
float clip_limit(double papr_db, double mean_power);

/*!
 * Samples of more power than \p limit keep their phase and get that power. Such with a NaN or an infinite part become 0,
 * whatever the limit. \p out may be \p in. Gives how many were changed.
 */
std::size_t clip(const cfloat* in, cfloat* out, std::size_t n, float limit);

} // namespace core
} // namespace diffsem
} // namespace gr
