/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the core throws.
 */
#pragma once

#include <stdexcept>

namespace gr {
namespace diffsem {
namespace core {

//! Anything that can be wrong with what a user gave: names the parameter, the value and the remedy.
class Error : public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};

} // namespace core
} // namespace diffsem
} // namespace gr
