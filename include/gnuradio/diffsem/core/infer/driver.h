/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which of several unknowns is updated when.
 */
#pragma once

#include <gnuradio/diffsem/core/base/entry.h>
#include <gnuradio/diffsem/core/base/fields.h>
#include <gnuradio/diffsem/core/operators/bilinear.h>

#include <cstddef>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

struct DriverParameters {
    int rounds = 10;
    int settle = -1;                //!< last rounds by mean field; < 0: half of them
    std::vector<std::size_t> order; //!< indices of the unknowns, as they are updated in one round
};

//! One inference of one unknown, all else as it is believed at that time.
struct Update {
    std::size_t unknown;
    Uncertainty treatment;
};

struct DriverEntry : Entry {
    //! The updates of a whole run of so many rounds, first to last.
    void (*updates)(const DriverParameters& parameters, int rounds, std::vector<Update>& out);
};

const std::vector<const DriverEntry*>& drivers();

//! The keys of a manifest's plan for these unknowns. Throws Error.
DriverParameters read_driver(const Fields& fields, const std::vector<std::string>& unknowns);

} // namespace core
} // namespace diffsem
} // namespace gr
