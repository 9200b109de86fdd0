/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How a graph lays out complex numbers.
 */
#pragma once

namespace gr {
namespace diffsem {
namespace core {

enum class Layout { planar, interleaved, magnitude_phase };

} // namespace core
} // namespace diffsem
} // namespace gr
