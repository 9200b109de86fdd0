/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "block_helpers.h"

#include <gnuradio/diffsem/clip_cc.h>
#include <gnuradio/diffsem/core/link/clip.h>
#include <gnuradio/io_signature.h>

#include <atomic>
#include <cmath>

namespace gr {
namespace diffsem {

namespace {

void check_papr(double papr_db)
{
    if (!(papr_db >= 0))
        throw core::Error(
            "papr_db is " + text(papr_db) +
            ": give 0 (constant magnitude) or more, e.g. 8, or infinity for no clipping");
}

class clip_cc_impl : public clip_cc
{
public:
    clip_cc_impl(double papr_db, double mean_power)
        : gr::sync_block("clip_cc",
                         gr::io_signature::make(1, 1, sizeof(gr_complex)),
                         gr::io_signature::make(1, 1, sizeof(gr_complex))),
          d_mean_power(mean_power)
    {
        set_papr_db(papr_db);
    }

    void set_papr_db(double papr_db) override
    {
        check_papr(papr_db);
        d_limit = core::clip_limit(papr_db, d_mean_power);
    }
    uint64_t samples_clipped() const override { return d_clipped; }

    int work(int noutput_items,
             gr_vector_const_void_star& input_items,
             gr_vector_void_star& output_items) override
    {
        const auto* in = static_cast<const gr_complex*>(input_items[0]);
        auto* out = static_cast<gr_complex*>(output_items[0]);
        d_clipped += core::clip(in, out, noutput_items, d_limit);
        return noutput_items;
    }

private:
    const double d_mean_power;
    std::atomic<float> d_limit{0};
    std::atomic<uint64_t> d_clipped{0};
};

} // namespace

clip_cc::sptr clip_cc::make(double papr_db, double mean_power)
{
    check_papr(papr_db);
    if (!(mean_power > 0) || !std::isfinite(mean_power))
        throw core::Error("mean_power is " + text(mean_power) + ": give a power above 0");
    return gnuradio::make_block_sptr<clip_cc_impl>(papr_db, mean_power);
}

} // namespace diffsem
} // namespace gr
