/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gnuradio/diffsem/api.h>
#include <gnuradio/sync_block.h>

namespace gr {
namespace diffsem {

/*!
 * \brief Clips the magnitude of samples to a chosen ratio of peak to mean power; the phase stays.
 * \ingroup diffsem
 *
 * \details
 * The mean power is given, not measured, so that one gain holds for all of a burst. A sample that is not finite
 * becomes 0, and counts as clipped.
 */
class DIFFSEM_API clip_cc : virtual public gr::sync_block
{
public:
    using sptr = std::shared_ptr<clip_cc>;

    /*!
     * \param papr_db    largest power of a sample over the mean one, dB; infinite: nothing is clipped
     * \param mean_power of the samples, above 0
     * \throws core::Error (ValueError in Python) naming the parameter
     */
    static sptr make(double papr_db, double mean_power = 1.0);

    virtual void set_papr_db(double papr_db) = 0; //!< live
    virtual uint64_t samples_clipped() const = 0;
};

} // namespace diffsem
} // namespace gr
