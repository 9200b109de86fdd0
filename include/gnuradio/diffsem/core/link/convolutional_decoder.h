/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A stream of the convolutional code with 64 states, from soft decisions.
 */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * Viterbi's algorithm for the code of constraint length 7 and rate 1/2 with the polynomials 171 and 133 (octal), the first
 * of which is sent first. A stream without ends: all states are as likely at its beginning, and a bit is decided once `depth`
 * more steps are known: twice what rate 7/8 needs (2.5 x 6 / (1 - R), B. Moision, ITA workshop 2008).
 *
 * Metrics are 16 bits that wrap round: what two states differ by is bounded by the memory of six steps, so that the sign of a
 * difference stays right (A. P. Hekstra, IEEE Trans. Commun. 37, 1989) and nothing has to be taken off.
 */
class ConvolutionalDecoder
{
public:
    static constexpr int most = 511;          //!< magnitude of a soft decision
    static constexpr std::size_t depth = 256; //!< steps that a decision waits for at least

    ConvolutionalDecoder();

    //! Another stream begins; what was not decided of the last one is lost.
    void restart();
    /*!
     * \param soft  2 steps values within +- most, two for each step: positive where the bit is likely 1, 0 where it is not known
     * \param out   whole octets, first bit uppermost, are appended; they come 128 at a time
     */
    void push(const std::int16_t* soft, std::size_t steps, std::vector<std::uint8_t>& out);
    //! Nothing more comes: what waits is decided. Bits that make no octet are left out. restart() is meant.
    void end(std::vector<std::uint8_t>& out);

    std::size_t waiting() const { return d_steps; } //!< steps that are not decided yet

private:
    static constexpr std::size_t states = 64;
    static constexpr std::size_t block = 1024; // steps that are decided together
    static constexpr std::size_t kept = block + depth;
    void decide(std::size_t count, std::vector<std::uint8_t>& out);

    std::array<std::int16_t, states> d_signs, d_metrics{};
    std::vector<std::uint8_t> d_high; // kept x states: which of two states each came from
    std::vector<std::uint8_t> d_bits;
    std::size_t d_steps = 0; // in d_high
};

} // namespace core
} // namespace diffsem
} // namespace gr
