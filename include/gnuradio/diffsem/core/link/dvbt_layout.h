/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What an OFDM symbol of DVB-T holds (ETSI EN 300 744 V1.6.2).
 */
#pragma once

#include <gnuradio/diffsem/core/base/types.h>

#include <array>
#include <cstddef>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Carriers are counted from the lowest, k = 0 .. carriers - 1.
struct DvbtLayout {
    static constexpr int symbols_per_frame = 68;
    static constexpr int superframe = 4 * symbols_per_frame; //!< symbols
    static constexpr std::size_t spacing =
        3; //!< of the carriers that are a pilot in one symbol of four
    static constexpr std::size_t phases = 4;

    //! \param fft_len 2048 or 8192, else Error
    explicit DvbtLayout(int fft_len);

    std::size_t fft_len;
    std::size_t carriers; //!< 1705 or 6817
    std::size_t first;    //!< index of the lowest in a spectrum with DC in the middle
    std::size_t columns;  //!< carriers that are scattered pilots at some time
    std::vector<std::size_t> continual, tps;
    std::vector<float> pilot; //!< what a pilot on each carrier says, +- 4/3
    std::array<std::vector<std::size_t>, phases>
        data; //!< payload of symbol number l: data[l % 4], ascending
};

} // namespace core
} // namespace diffsem
} // namespace gr
