/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The header of a frame of the semantic link: 40 bits as 96 strongly coded QPSK symbols, decoded from
 * soft bits. python/gr_diffsem/codec/frame_header.py is the same in NumPy and says more.
 */
#pragma once

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/base/types.h>

#include <array>
#include <cstdint>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! A bijection of 32-bit integers that scatters neighbours.
std::uint32_t hash32(std::uint32_t x);

//! A permutation of 0..n-1 that depends on \p n and \p seed only: the order of hash32(i + seed).
std::vector<int> scatter(int n, std::uint32_t seed);

//! 4 bits content id, 14 OFDM symbols of the picture, 9 index of the frame, 5 size of the digital part.
struct FrameHeader {
    int id = 0, total = 0, index = 0, digital = 0;

    static constexpr int bits = 40;    //!< with CRC-8
    static constexpr int symbols = 96; //!< channel uses

    bool operator==(const FrameHeader& o) const
    {
        return id == o.id && total == o.total && index == o.index && digital == o.digital;
    }
    //! True if both can be frames of one picture.
    bool same_picture(const FrameHeader& o) const
    {
        return id == o.id && total == o.total && digital == o.digital;
    }
    //! Frames of the picture, where a full one has \p frame_symbols.
    int frames(int frame_symbols) const { return (total + frame_symbols - 1) / frame_symbols; }
    //! OFDM symbols of this frame's payload; 0 if the index is beyond the last frame.
    int payload_symbols(int frame_symbols) const;
};

//! 192 soft bits: log-likelihood ratios of the code bits on the air, positive for 0.
using HeaderSoftBits = std::array<float, 2 * FrameHeader::symbols>;

/*!
 * Coder and decoder of headers: tail-biting K=7 (133, 171), its 80 bits sent 2.4 times.
 */
class HeaderCode
{
public:
    HeaderCode();

    //! QPSK symbols of unit power. Throws Error naming a field that does not fit.
    std::array<cfloat, FrameHeader::symbols> modulate(const FrameHeader& header) const;
    //! What soft bits say, so that many headers can be compared with them at little cost.
    struct Evidence {
        double common = 0; //!< the same for all headers
        std::array<double, 2 * FrameHeader::bits>
            ratio{}; //!< of each code bit, its repetitions added
        //! Log-likelihood ratio, in nats, of this header against random bits.
        double of(const FrameHeader& header) const;
        //! Adds what another header of the same picture says, whose index differs in these bits.
        void add(const Evidence& other, int index_bits);
    };
    Evidence weigh(const HeaderSoftBits& soft) const;
    bool decode(const Evidence& evidence, FrameHeader& header) const;

    //! Viterbi decoding around the circle; false if the CRC fails or the code word is not clear.
    bool decode(const HeaderSoftBits& soft, FrameHeader& header) const;
    //! Log-likelihood ratio, in nats, of this header against random bits.
    double evidence(const HeaderSoftBits& soft, const FrameHeader& header) const;

    //! Nats by which a decoded header must beat random bits.
    static constexpr double clear = 22.0;

private:
    std::vector<int> d_place; // code bit of each place on the air
    std::array<float, 2 * FrameHeader::symbols> d_flip;
};

/*!
 * Decodes the headers of frames as they come, and knows which ones to expect: frames of one picture
 * differ in their index alone, and that counts up; where it ends, it begins again or the next one does, which
 * has the next id and mostly the same size. A header whose CRC fails is looked for among those by a likelihood
 * test against anything else.
 */
class HeaderTracker
{
public:
    explicit HeaderTracker(int frame_symbols) : d_frame_symbols(frame_symbols) {}

    /*!
     * \p expected is set if the header was not decoded but recognised. \p other: prior probability, below 1, that it
     * is none of those that can follow, or no header at all.
     */
    bool
    decode(const HeaderSoftBits& soft, FrameHeader& header, bool& expected, double other = 0.05);
    /*!
     * The header of a frame that came before \p later and could not be read alone; most frames between the two are not
     * missing.
     */
    bool before(const HeaderCode::Evidence& evidence,
                const FrameHeader& later,
                double other,
                FrameHeader& header) const;
    /*!
     * Headers of frames of one picture, none of which can be read alone: their code words differ by what their indices
     * differ by, which is known, so that they add up. \p offset: index of each beyond that of the first, counting up
     * from 0. True: \p headers are theirs, and the last is expected to be followed.
     */
    bool together(const std::vector<HeaderCode::Evidence>& frames,
                  const std::vector<int>& offset,
                  std::vector<FrameHeader>& headers);
    const HeaderCode& code() const { return d_code; }

private:
    struct Candidate {
        FrameHeader header;
        double prior; // then the logarithm of the posterior, but for a constant
    };
    std::vector<Candidate> candidates() const;
    bool recognise(const HeaderCode::Evidence& evidence, double other, FrameHeader& header) const;

    HeaderCode d_code;
    int d_frame_symbols;
    bool d_known = false;
    FrameHeader d_last;
};

} // namespace core
} // namespace diffsem
} // namespace gr
