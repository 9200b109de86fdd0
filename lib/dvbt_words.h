/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How gr-dtv numbers what a signal of DVB-T is, and what these numbers are checked for. Private.
 */
#pragma once

#include "block_helpers.h"

#include <algorithm>
#include <iterator>
#include <string>

namespace gr {
namespace diffsem {

// By the number of the transmission parameters.
constexpr int dvbt_code_rates[] = {3, 5, 6, 8, 9};
constexpr const char* dvbt_code_rate_names[] = {"C1_2", "C2_3", "C3_4", "C5_6", "C7_8"};
constexpr const char* dvbt_constellation_names[] = {"MOD_QPSK", "MOD_16QAM", "MOD_64QAM"};
constexpr const char* dvbt_hierarchy_names[] = {"NH", "ALPHA1", "ALPHA2", "ALPHA4"};
constexpr const char* dvbt_guard_names[] = {"GI_1_32", "GI_1_16", "GI_1_8", "GI_1_4"};
constexpr const char* dvbt_mode_names[] = {"T2k", "T8k"};

inline void check_range(const char* name, int value, int most, const char* choices)
{
    if (value < 0 || value > most)
        throw core::Error(std::string(name) + " is " + text(value) + ": give " + choices);
}

inline void check_constellation(int value)
{
    check_range("constellation", value, 2, "MOD_QPSK, MOD_16QAM or MOD_64QAM of gr-dtv");
}

inline void check_hierarchy(int value)
{
    check_range("hierarchy", value, 3, "NH, ALPHA1, ALPHA2 or ALPHA4 of gr-dtv");
}

inline void check_transmission_mode(int value)
{
    check_range("transmission_mode", value, 1, "T2k or T8k of gr-dtv");
}

//! Its number in the transmission parameters; throws for what is none.
inline int dvbt_code_rate(const char* name, int value)
{
    const auto* at = std::find(std::begin(dvbt_code_rates), std::end(dvbt_code_rates), value);
    if (at == std::end(dvbt_code_rates))
        throw core::Error(std::string(name) + " is " + text(value) +
                          ": give C1_2, C2_3, C3_4, C5_6 or C7_8 of gr-dtv");
    return int(at - std::begin(dvbt_code_rates));
}

//! Carriers of payload are so many in each mode; the parameter of this name says how many it is made for.
inline void check_payload(const char* name, int cells, int transmission_mode)
{
    const int needed = 1512 * (transmission_mode ? 4 : 1);
    if (cells != needed)
        throw core::Error(std::string(name) + " is " + text(cells) + ": a symbol of the mode " +
                          dvbt_mode_names[transmission_mode] + " has " + text(needed) +
                          " carriers of payload");
}

} // namespace diffsem
} // namespace gr
