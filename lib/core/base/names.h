/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Helping with names that do not exist.
 */
#pragma once

#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! "; did you mean 'x'?" if one is near, then "; known are a, b, c" (nothing when known is empty).
std::string suggestion(const std::string& name, const std::vector<std::string>& known);

} // namespace core
} // namespace diffsem
} // namespace gr
