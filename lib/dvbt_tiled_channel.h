/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The channel of DVB-T by a prior over tiles of symbols x carriers. Private.
 */
#pragma once

#include "grid_run.h"

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/link/dvbt_channel.h>
#include <gnuradio/diffsem/core/link/dvbt_layout.h>
#include <gnuradio/diffsem/core/link/grid_window.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {

class dvbt_tiled_channel : public core::DvbtChannel
{
public:
    /*!
     * \param errors estimate() is asked for them
     * Throws core::Error where the scheme is not one of tiles.
     */
    dvbt_tiled_channel(const core::DvbtLayout& layout,
                       std::shared_ptr<const core::Scheme> scheme,
                       bool errors)
        : d_layout(layout),
          d_pilots(int(layout.fft_len), occupied(layout), pattern(layout), empty(layout)),
          d_window(d_pilots, window, -1, false),
          d_spectrum(layout.fft_len),
          d_noise(d_window.rows() * layout.carriers),
          d_taps(d_noise.size()),
          d_errors(errors ? d_noise.size() : 0)
    {
        const auto& info = scheme->info();
        if (!info.complex_domain || info.shape.size() != 2)
            throw core::Error(
                "scheme '" + info.spec +
                "' is not made for tiles of symbols x carriers: use 'ofdm_grid/robust', or "
                "none for filters that follow the signal");
        core::EstimatorOptions options;
        options.max_batch = 32;
        options.residual = false;
        d_run = std::make_unique<grid_run>(
            std::move(scheme), d_window.rows(), layout.carriers, d_window.hop(), options);
    }

    std::size_t ahead() const override { return d_window.hop() + d_window.ahead() - 1; }

    void restart() override
    {
        d_window.give(d_window.pending());
        d_window.restart();
        d_answers = 0;
    }

    void push(const gr_complex* carriers, std::size_t phase) override
    {
        std::fill(d_spectrum.begin(), d_spectrum.end(), gr_complex(0));
        if (carriers)
            std::copy_n(
                carriers, d_layout.carriers, d_spectrum.begin() + std::ptrdiff_t(d_layout.first));
        else
            d_spectrum[0] = std::numeric_limits<float>::quiet_NaN();
        d_window.push(d_spectrum.data(), phase);
    }

    void pass(std::size_t, gr_complex*) override
    {
        if (!d_answers) {
            d_window.give(1);
            return;
        }
        d_given++;
        d_answers--;
    }

    void estimate(std::size_t, gr_complex* channel, float* error) override
    {
        if (!d_answers)
            answer();
        const std::size_t row = d_from + d_given++;
        std::copy_n(&d_taps[row * d_layout.carriers], d_layout.carriers, channel);
        for (std::size_t k = 0; error && k < d_layout.carriers; k++) {
            const float e = d_errors[row * d_layout.carriers + k];
            error[k] = e >= 0 ? e : d_noise_var; // none is stated: as of least squares
        }
        d_answers--;
    }

    float noise_var() const override { return d_noise_var; }

private:
    static constexpr int window = 16;

    static std::vector<int> occupied(const core::DvbtLayout& layout)
    {
        std::vector<int> out;
        for (std::size_t k = 0; k < layout.carriers; k++)
            out.push_back(int(k) - int(layout.carriers / 2));
        return out;
    }
    static std::vector<int> empty(const core::DvbtLayout&) { return {}; }
    static std::vector<core::SymbolPilots> pattern(const core::DvbtLayout& layout)
    {
        std::vector<core::SymbolPilots> out(layout.phases);
        for (std::size_t phase = 0; phase < layout.phases; phase++) {
            std::vector<std::size_t> places = layout.continual;
            for (std::size_t k = layout.spacing * phase; k < layout.carriers;
                 k += layout.spacing * layout.phases)
                places.push_back(k);
            std::sort(places.begin(), places.end());
            places.erase(std::unique(places.begin(), places.end()), places.end());
            for (const auto k : places) {
                out[phase].first.push_back(int(k) - int(layout.carriers / 2));
                out[phase].second.push_back(layout.pilot[k]);
            }
        }
        return out;
    }

    // All rows that are due, or all that are pending.
    void answer()
    {
        infer();
        d_from = d_window.at();
        d_given = 0;
        d_answers = d_window.due() ? d_window.hop() : d_window.pending();
        d_window.give(d_answers);
    }

    void infer()
    {
        const auto seen = d_window.noise();
        if (seen.count > 0)
            d_noise_var = std::max(float(seen.mean()), 1e-9f * d_window.pilot_power());
        const float* gain = d_window.noise_gain();
        for (std::size_t k = 0; k < d_noise.size(); k++)
            d_noise[k] = std::isinf(gain[k]) ? gain[k] : d_noise_var * gain[k];
        d_run->tiles().run(d_window.taps(),
                           d_noise.data(),
                           d_noise.size(),
                           d_taps.data(),
                           d_errors.empty() ? nullptr : d_errors.data());
    }

    const core::DvbtLayout& d_layout;
    core::GridPilots d_pilots;
    core::GridWindow d_window;
    std::unique_ptr<grid_run> d_run;
    std::vector<gr_complex> d_spectrum;
    std::vector<float> d_noise;
    std::vector<gr_complex> d_taps;
    std::vector<float> d_errors; // empty: not asked for
    std::size_t d_from = 0, d_given = 0, d_answers = 0;
    float d_noise_var = 0;
};

} // namespace diffsem
} // namespace gr
