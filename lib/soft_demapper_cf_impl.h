/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "block_helpers.h"

#include <gnuradio/diffsem/core/link/demap.h>
#include <gnuradio/diffsem/soft_demapper_cf.h>

#include <cstddef>
#include <mutex>
#include <vector>

namespace gr {
namespace diffsem {

class soft_demapper_cf_impl : public soft_demapper_cf
{
public:
    soft_demapper_cf_impl(core::MaxLogDemapper demapper,
                          const soft_demapper_options& options,
                          std::vector<int> carriers,
                          std::size_t first);

    void set_noise_var(float noise_var) override;
    void set_scale(float scale) override;
    void set_clip(float clip) override;
    int bits_per_symbol() const override { return d_demapper.bits(); }

    int work(int noutput_items,
             gr_vector_const_void_star& input_items,
             gr_vector_void_star& output_items) override;

private:
    void take_tag(const tag_t& tag, uint64_t at);
    void make_noise_table();
    void demap(const gr_complex* in, const float* noise, int n, float* out);

    static constexpr int chunk = 1024;

    const keys d_keys;
    const core::MaxLogDemapper d_demapper;
    std::mutex d_mutex; // parameters against work
    soft_demapper_options d_options;
    const pmt::pmt_t d_len_key;
    const std::vector<int> d_carriers; // of all symbols of one round of occupied_carriers
    const std::size_t d_first;         // where in it a packet starts
    std::size_t d_position;

    float d_noise_var;
    std::vector<gr_complex> d_taps;
    std::vector<float> d_error;
    std::vector<float> d_table; // noise of each of d_carriers; one value without taps
    bool d_table_stale = true;
    std::vector<float> d_noise;
    std::vector<tag_t> d_tags;
};

} // namespace diffsem
} // namespace gr
