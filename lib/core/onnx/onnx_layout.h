/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How a graph lays out complex numbers.
 */
#pragma once

#include <gnuradio/diffsem/core/base/tensor.h>

#include <cstddef>

namespace gr {
namespace diffsem {
namespace core {

enum class Layout { planar, interleaved, magnitude_phase };

//! One item of so many elements, from ours (re, im beside each other) to the graph's. Real numbers have one layout.
void to_layout(Layout layout, Domain domain, std::size_t elements, const float* item, float* graph);
//! And back.
void from_layout(Layout layout,
                 Domain domain,
                 std::size_t elements,
                 const float* graph,
                 float* item);

} // namespace core
} // namespace diffsem
} // namespace gr
