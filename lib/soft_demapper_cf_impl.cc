/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "soft_demapper_cf_impl.h"

#include <gnuradio/diffsem/core/link/ofdm.h>
#include <gnuradio/io_signature.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace gr {
namespace diffsem {

namespace {

constexpr long max_length = 1L << 32; // of a packet; what says more is no length

void check_scale(float scale)
{
    if (!(scale > 0) || !std::isfinite(scale))
        throw core::Error("scale is " + text(scale) + ": give a factor above 0");
}

void check_clip(float clip)
{
    if (!(clip >= 0))
        throw core::Error("clip is " + text(clip) + ": give the largest magnitude, or 0 for none");
}

soft_demapper_cf::sptr make_from_points(const std::vector<gr_complex>& points,
                                        const soft_demapper_options& o)
{
    check_noise_var(o.noise_var, false);
    check_scale(o.scale);
    check_clip(o.clip);
    if (o.bit_order != "msb" && o.bit_order != "lsb")
        throw core::Error("bit_order is '" + o.bit_order + "': give msb or lsb");
    if (o.symbols_skipped < 0)
        throw core::Error("symbols_skipped is " + text(o.symbols_skipped) + ": give 0 or more");
    if (!o.occupied_carriers.empty() && o.fft_len < 1)
        throw core::Error("fft_len is " + text(o.fft_len) +
                          ": with occupied_carriers, give the carriers of an OFDM symbol");

    std::vector<int> carriers;
    std::size_t first = 0;
    for (std::size_t set = 0; set < o.occupied_carriers.size(); set++) {
        if (set == o.symbols_skipped % o.occupied_carriers.size())
            first = carriers.size();
        for (int k : o.occupied_carriers[set]) {
            if (k >= o.fft_len || k < -o.fft_len)
                throw core::Error("occupied_carriers: carrier " + text(k) +
                                  " is outside an FFT of " + text(o.fft_len));
            k = k < 0 ? k + o.fft_len : k;
            carriers.push_back(o.input_is_shifted ? (k + o.fft_len / 2) % o.fft_len : k);
        }
    }
    return gnuradio::make_block_sptr<soft_demapper_cf_impl>(
        core::MaxLogDemapper(points, o.bit_order == "lsb"), o, carriers, first);
}

} // namespace

soft_demapper_cf::sptr soft_demapper_cf::make(const std::string& constellation,
                                              const soft_demapper_options& options)
{
    return make_from_points(core::constellation_points(constellation), options);
}

soft_demapper_cf::sptr soft_demapper_cf::make(digital::constellation_sptr constellation,
                                              const soft_demapper_options& options)
{
    if (!constellation)
        throw core::Error("constellation is missing: give a digital.constellation or a name");
    if (constellation->dimensionality() != 1)
        throw core::Error("constellation has symbols of " + text(constellation->dimensionality()) +
                          " points: only one for each symbol can be demapped");
    auto points = constellation->points();
    if (constellation->apply_pre_diff_code()) {
        const auto code = constellation->pre_diff_code();
        const auto plain = points;
        for (std::size_t v = 0; v < points.size() && v < code.size(); v++)
            points[v] = plain.at(code[v]);
    }
    return make_from_points(points, options);
}

soft_demapper_cf_impl::soft_demapper_cf_impl(core::MaxLogDemapper demapper,
                                             const soft_demapper_options& options,
                                             std::vector<int> carriers,
                                             std::size_t first)
    : gr::sync_interpolator("soft_demapper_cf",
                            options.noise_input
                                ? gr::io_signature::make2(2, 2, sizeof(gr_complex), sizeof(float))
                                : gr::io_signature::make(1, 1, sizeof(gr_complex)),
                            gr::io_signature::make(1, 1, sizeof(float)),
                            demapper.bits()),
      d_demapper(std::move(demapper)),
      d_options(options),
      d_len_key(options.len_tag_key.empty() ? pmt::PMT_NIL : pmt::mp(options.len_tag_key)),
      d_carriers(std::move(carriers)),
      d_first(first),
      d_position(first),
      d_noise_var(options.noise_var),
      d_noise(chunk)
{
    set_tag_propagation_policy(TPP_DONT); // the length tag counts bits behind us
}

void soft_demapper_cf_impl::set_noise_var(float noise_var)
{
    check_noise_var(noise_var, false);
    std::lock_guard<std::mutex> lock(d_mutex);
    d_noise_var = noise_var;
    d_table_stale = true;
}

void soft_demapper_cf_impl::set_scale(float scale)
{
    check_scale(scale);
    std::lock_guard<std::mutex> lock(d_mutex);
    d_options.scale = scale;
}

void soft_demapper_cf_impl::set_clip(float clip)
{
    check_clip(clip);
    std::lock_guard<std::mutex> lock(d_mutex);
    d_options.clip = clip;
}

void soft_demapper_cf_impl::take_tag(const tag_t& tag, uint64_t at)
{
    tag_t out = tag;
    out.offset = at;
    const bool length = !pmt::is_null(d_len_key) && pmt::eqv(tag.key, d_len_key);
    if (length && pmt::is_integer(tag.value) && std::abs(pmt::to_long(tag.value)) < max_length)
        out.value = pmt::from_long(pmt::to_long(tag.value) * d_demapper.bits());
    add_item_tag(0, out);

    const bool taps = pmt::eqv(tag.key, d_keys.chan_taps);
    if (length || taps)
        d_position = d_first;
    if (taps && pmt::is_c32vector(tag.value))
        d_taps = pmt::c32vector_elements(tag.value);
    else if (pmt::eqv(tag.key, d_keys.error_var) && pmt::is_f32vector(tag.value))
        d_error = pmt::f32vector_elements(tag.value);
    else if (double said = 0; pmt::eqv(tag.key, d_keys.noise_var) && real_number(tag.value, said))
        d_noise_var = static_cast<float>(said);
    else
        return;
    d_table_stale = true;
}

void soft_demapper_cf_impl::make_noise_table()
{
    d_table_stale = false;
    const std::size_t n = d_options.fft_len;
    if (d_carriers.empty() || d_taps.size() != n) {
        d_table.assign(1, d_noise_var);
        return;
    }
    d_table.resize(d_carriers.size());
    for (std::size_t i = 0; i < d_carriers.size(); i++) {
        const int k = d_carriers[i];
        d_table[i] = core::equalised_noise(
            d_taps[k], d_noise_var, d_error.size() == n ? d_error[k] : 0.0f, d_demapper.power());
    }
}

void soft_demapper_cf_impl::demap(const gr_complex* in, const float* noise, int n, float* out)
{
    if (d_table_stale)
        make_noise_table();
    for (int done = 0; done < n;) {
        const int count = std::min(n - done, static_cast<int>(chunk));
        const float* now = noise ? noise + done : d_noise.data();
        if (!noise)
            for (int i = 0; i < count; i++) {
                d_noise[i] = d_table[d_table.size() > 1 ? d_position : 0];
                if (++d_position >= d_carriers.size())
                    d_position = 0;
            }
        d_demapper.run(
            in + done, now, count, d_options.scale, d_options.clip, out + done * d_demapper.bits());
        done += count;
    }
}

int soft_demapper_cf_impl::work(int noutput_items,
                                gr_vector_const_void_star& input_items,
                                gr_vector_void_star& output_items)
{
    std::lock_guard<std::mutex> lock(d_mutex);
    const auto* in = static_cast<const gr_complex*>(input_items[0]);
    const auto* noise = d_options.noise_input ? static_cast<const float*>(input_items[1]) : nullptr;
    auto* out = static_cast<float*>(output_items[0]);
    const int bits = d_demapper.bits();
    const int n = noutput_items / bits;
    const uint64_t read = nitems_read(0), written = nitems_written(0);

    get_tags_in_range(d_tags, 0, read, read + n);
    std::sort(d_tags.begin(), d_tags.end(), tag_t::offset_compare);
    int done = 0;
    for (const auto& tag : d_tags) {
        const int at = static_cast<int>(tag.offset - read);
        if (at > done) {
            demap(in + done, noise ? noise + done : nullptr, at - done, out + done * bits);
            done = at;
        }
        take_tag(tag, written + static_cast<uint64_t>(at) * bits);
    }
    demap(in + done, noise ? noise + done : nullptr, n - done, out + done * bits);
    return n * bits;
}

} // namespace diffsem
} // namespace gr
