/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a conditional prior is told beside x and sigma: its named side inputs, as `condition` of the contract declares them.
 */
#pragma once

#include <gnuradio/diffsem/core/base/json.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * Values travel as floats, whole numbers too (exact to 2^24). In a Workspace's context each is an unknown of that name: a
 * row for every item of the batch, or one row for all.
 */
struct SideInput {
    std::string name;
    bool integer = false;            //!< int64 in the graph, else float32
    std::vector<std::int64_t> shape; //!< of one item; empty: one number
    std::size_t count = 1;           //!< of its values
    std::vector<float> null;         //!< count values that mean "not told"; empty: there are none
    float least = -std::numeric_limits<float>::infinity(); //!< what a value may be, `null` apart
    float most = std::numeric_limits<float>::infinity();
    bool previous = false; //!< filled by the run itself with the previous answer of the stream

    //! Throws Error, which names the input, for another number of values, for what is not finite or out of range, and for
    //! fractions where it is an integer.
    void check(const float* values, std::size_t given) const;
};

//! A list of {"name", "type", "shape", "null", "least", "most", "from"}; null: none. Throws Error, beginning with `where`.
std::vector<SideInput> read_side_inputs(const Json& declared, const std::string& where);

//! What an Error says of a name that is not among them: the nearest, or those that there are.
std::string no_side_input(const std::string& name, const std::vector<SideInput>& declared);

} // namespace core
} // namespace diffsem
} // namespace gr
