/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where a frame of DVB-T ends, and how it is sent, from the bits of its transmission parameters (EN 300 744 4.6).
 */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! What a frame says of itself, as numbers of the standard's tables.
struct DvbtParameters {
    int frame = 0;         //!< 0 .. 3 in the superframe
    int constellation = 0; //!< 0 QPSK, 1 16-QAM, 2 64-QAM
    int hierarchy = 0, rate_high = 0, rate_low = 0, guard = 0, mode = 0;
};

/*!
 * Takes a bit for each symbol, and knows after the last of a frame. BCH(67, 53) corrects two errors; the word of
 * synchronisation may hold as many.
 */
class DvbtTps
{
public:
    DvbtTps();
    void restart() { d_seen = 0; }
    //! True: this was the last symbol of a frame, and parameters() are its.
    bool push(bool bit);
    const DvbtParameters& parameters() const { return d_parameters; }

    static constexpr std::size_t bits = 67; //!< s1 .. s67
    //! The bits of a frame: for who sends, and for tests.
    static std::array<std::uint8_t, bits> word(const DvbtParameters& parameters);

private:
    using Word = std::array<std::uint8_t, bits>;
    static unsigned syndrome(const Word& word);
    bool correct(Word& word) const;

    Word d_last{}; // the latest bits, oldest first
    std::size_t d_seen = 0;
    std::vector<std::int16_t>
        d_errors; // of each syndrome: two positions + 1 of errors, 0: none; -1: not correctable
    DvbtParameters d_parameters;
};

} // namespace core
} // namespace diffsem
} // namespace gr
