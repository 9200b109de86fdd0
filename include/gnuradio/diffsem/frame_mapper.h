/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/diffsem/api.h>

namespace gr {
namespace diffsem {

/*!
 * \brief Puts the coded header in front of the symbols of each frame of a semantic link.
 * \ingroup diffsem
 *
 * \details
 * Message port `frames` in: a pair of a dictionary (longs `id`, `total`, `index`, `digital`) and a c32vector
 * of payload symbols, whole OFDM symbols. Message port `pdus` out: the same with the header's symbols in
 * front, filled up to whole OFDM symbols, and an empty dictionary, for `pdu.pdu_to_tagged_stream`.
 *
 * Message port `stats`, at each drop and about once a second: `in`, `out`, `dropped` (a message that is no
 * such pair, whose header does not fit, whose length is not what its header says, or with a symbol that
 * is not finite).
 */
class DIFFSEM_API frame_mapper : virtual public gr::block
{
public:
    using sptr = std::shared_ptr<frame_mapper>;

    /*!
     * \param carriers      data carriers of an OFDM symbol
     * \param frame_symbols OFDM symbols of a full payload
     * \throws core::Error (ValueError in Python) naming the parameter
     */
    static sptr make(int carriers = 48, int frame_symbols = 50);

    virtual uint64_t frames_in() const = 0;
    virtual uint64_t frames_out() const = 0;
    virtual uint64_t frames_dropped() const = 0;
};

} // namespace diffsem
} // namespace gr
