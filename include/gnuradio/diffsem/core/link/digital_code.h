/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The strong code of a content's digital part: octets, padding and CRC-32 under a systematic irregular
 * repeat-accumulate code (Jin, Khandekar, McEliece 2000). Encoder and twin: gr_diffsem.codec.digital_part.
 */
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! The code of one of the block sizes; immutable.
class DigitalCode
{
public:
    static constexpr int sizes = 32;

    //! \param size index of a block size, as a frame's header gives it. Throws Error if there is none such.
    explicit DigitalCode(int size);

    //! Octets of data that a block holds at most.
    std::size_t octets() const { return d_octets; }
    //! Channel symbols of a block.
    std::size_t uses() const { return d_place.size() / 2; }

    /*!
     * Sum-product decoding, at most 200 iterations.
     *
     * \param soft log-likelihood ratios [2 uses()], positive for bit 0; NaN counts as 0
     * \param data the octets without padding
     * \return whether all checks and the CRC-32 hold; else data is empty
     */
    bool decode(const float* soft, std::vector<std::uint8_t>& data) const;

    //! The same for symbols [uses()] of QPSK, each with its noise variance (infinite or NaN: lost).
    bool decode(const std::complex<float>* symbols,
                const float* noise_var,
                std::vector<std::uint8_t>& data) const;

private:
    bool propagate(const std::vector<float>& llr, std::vector<std::uint8_t>& bits) const;

    std::size_t d_octets;
    std::vector<int> d_edge;  // information bit of each check
    std::vector<int> d_place; // code bit at each place on the air
};

} // namespace core
} // namespace diffsem
} // namespace gr
