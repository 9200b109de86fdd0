/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The number that signals are made of.
 */
#pragma once

#include <complex>

namespace gr {
namespace diffsem {
namespace core {

using cfloat = std::complex<float>;

} // namespace core
} // namespace diffsem
} // namespace gr
