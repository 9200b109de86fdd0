/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What ChannelTracker does with each carrier and each coefficient of a symbol. Arrays do not overlap.
 */
#pragma once

#include <gnuradio/diffsem/core/base/types.h>

#include <cstddef>
#include <cstdint>

namespace gr {
namespace diffsem {
namespace core {
namespace tracker {

// |y - h x|^2 of the nearest points; infinite where nothing can be said, or nothing was sent.
void distances(const cfloat* received,
               const cfloat* here,
               const cfloat* base,
               const cfloat* known,
               const cfloat* nearest,
               const std::uint8_t* in_use,
               float noise,
               float error,
               std::size_t n,
               float* miss);

// y conj(x) - p h over the symbol's power, and E|y - h x|^2; 0 where nothing is believed.
void looks_at(const cfloat* received,
              const cfloat* here,
              const cfloat* mean,
              const float* power,
              const float* expected,
              const float* miss,
              float unit,
              std::size_t n,
              cfloat* look,
              float* distance);

// One symbol of the filters of a block, told >= 0; variances over the noise. growth: product of predicted variances times
// told; misfit: sum of |innovation|^2 over them.
void filter(const cfloat* seen,
            const float* weight,
            float told,
            float q,
            std::size_t r,
            float* variance,
            cfloat* state,
            float* growth,
            float* misfit);

} // namespace tracker
} // namespace core
} // namespace diffsem
} // namespace gr
