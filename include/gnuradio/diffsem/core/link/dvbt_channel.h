/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a demodulator of DVB-T asks for the channel.
 */
#pragma once

#include <gnuradio/diffsem/core/base/types.h>

#include <cstddef>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * What knows the channel at a row once others have come behind it. Rows are DvbtCarriers' of one symbol each.
 */
class DvbtChannel
{
public:
    virtual ~DvbtChannel() = default;
    virtual std::size_t ahead() const = 0; //!< rows that come behind one before it is answered
    virtual void restart() = 0;
    //! Null: a row that measures nothing.
    virtual void push(const cfloat* carriers, std::size_t phase) = 0;
    /*!
     * The channel at the row that came `back` rows before the last one; each is asked for once, in order.
     * \param error variance of what it says of each carrier; null: nobody asks
     */
    virtual void estimate(std::size_t back, cfloat* channel, float* error = nullptr) = 0;
    //! Nobody asks for it; but what is measured on the way goes on. \p scratch as `channel` above.
    virtual void pass(std::size_t back, cfloat* scratch) { estimate(back, scratch); }
    virtual float noise_var() const = 0; //!< of a received carrier; 0: not measured yet
};

} // namespace core
} // namespace diffsem
} // namespace gr
