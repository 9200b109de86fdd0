/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What an OFDM receiver computes around the channel estimate: the search for the carrier offset,
 * the least-squares taps, the noise, and the common phase of each symbol.
 * Spectra are in shifted order: index 0 is the lowest frequency, index N/2 is DC.
 */
#pragma once

#include <gnuradio/diffsem/core/base/types.h>
#include <gnuradio/diffsem/core/link/noise_estimate.h>

#include <cmath>
#include <complex>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * One or two synchronisation symbols after Schmidl & Cox (IEEE Trans. Commun. 45(12), 1997), with
 * the conventions of gr-digital's channel estimator. Received symbols are offset by an even number
 * g of carriers: carrier k of the transmitter arrives at index k + g. Taps are in the transmitter's
 * order, so they need no correction.
 */
class SyncWords
{
public:
    /*!
     * \param sync1           first symbol, N values; for Schmidl & Cox every second carrier is zero
     * \param sync2           second symbol, N values, or empty
     * \param max_carr_offset largest |g| tried; -1: all that keep the carriers inside the spectrum
     * \param force_one       only sync1 is sent, although sync2 is given
     * \param delay_window    taps (samples) beyond which a channel response is taken to be noise; used
     *                        where sync1 has no empty carriers inside the band; 0: N/4
     */
    SyncWords(const std::vector<cfloat>& sync1,
              const std::vector<cfloat>& sync2,
              int max_carr_offset = -1,
              bool force_one = false,
              int delay_window = 0);

    int size() const { return d_n; }
    int count() const { return d_two ? 2 : 1; } //!< symbols that precede the data
    int min_offset() const { return d_min_offset; }
    int max_offset() const { return d_max_offset; }

    //! The offset g. \p received holds count() symbols.
    int search_offset(const cfloat* received);

    //! Least-squares taps: zero where the sync word is, interpolated where it is alone and sparse.
    void ls_taps(const cfloat* received, int offset, cfloat* taps) const;

    //! Noise variance per received carrier: the mean power on carriers that sync1 leaves empty.
    float noise(const cfloat* received, int offset, const cfloat* taps) const;
    //! Complex elements of noise alone that noise() is the mean power of.
    int noise_freedom() const;
    //! True if noise() comes from empty carriers, false if from the tail of the delay response.
    bool noise_from_empty_carriers() const { return !d_empty.empty(); }
    //! Why noise() cannot be had (it then gives NaN); empty: it can.
    const std::string& noise_error() const { return d_noise_error; }

    //! N bytes, non-zero where the sync word that makes the taps is non-zero.
    const std::vector<std::uint8_t>& observed() const { return d_observed; }
    //! Noise variance of a tap over that of a received carrier: 1/|s|^2 (0 where not observed).
    const std::vector<float>& tap_noise_gain() const { return d_tap_noise_gain; }
    bool equal_power() const { return d_equal_power; } //!< all of them are the same
    //! Values that tap_noise() gives: 1 if all carriers of the sync word have one power, else N.
    int tap_noise_size() const { return d_equal_power ? 1 : d_n; }
    //! Noise variance of the taps for one of the received carriers; where not observed, as if of the weakest one.
    void tap_noise(float noise, float* out) const;

private:
    int search_two(const cfloat* received) const;
    int search_one(const cfloat* received);

    int d_n;
    bool d_two = false;
    bool d_interpolate = false;
    bool d_equal_power = true;
    int d_first = 0, d_last = 0; // active carriers
    int d_min_offset = 0, d_max_offset = 0;
    std::vector<cfloat> d_reference;
    std::vector<int> d_ratio_index;     // carriers where both sync words are non-zero
    std::vector<cfloat> d_ratio;        // conj(sync2/sync1) there
    std::vector<int> d_step_index;      // carriers whose step to the next but one is not zero
    std::vector<float> d_step;          // |sync1[k] - sync1[k+2]|^2 there
    std::vector<float> d_received_step; // the same of what was received
    std::vector<int> d_empty;
    std::vector<std::uint8_t> d_observed;
    std::vector<float> d_tap_noise_gain;
    float d_mean_tap_noise_gain = 1;
    std::unique_ptr<DelayTailNoise> d_tail;
    std::string d_noise_error;
};

/*!
 * Common phase of the symbols of a frame from pilots. For symbol s the pilots give
 * z_s = sum_k conj(h_k p_k) y_k: the least-squares estimate of exp(j phi) with each pilot weighted by
 * |h_k p_k|^2 is z_s/|z_s|. A residual carrier offset turns phi by a constant step a symbol, measured
 * by the angles of sum conj(z_s) z_{s+lag}; with that step removed, neighbours are averaged with
 * weights memory^|s - t|. memory 0 takes each symbol by itself, 1 fits a straight line to the frame.
 */
class CommonPhase
{
public:
    explicit CommonPhase(float memory = 0.8f) : d_memory(memory) {}
    void set_memory(float memory) { d_memory = memory; }
    float memory() const { return d_memory; }

    //! \p z: one value for each symbol (0: no pilots); replaced by exp(j phi_s).
    void track(std::vector<cfloat>& z);

private:
    static double step(const std::vector<cfloat>& z);

    float d_memory;
    std::vector<std::complex<double>> d_forward;
};

//! What an estimate of the channel may be wrong by: of an unknown error variance (NaN) what least squares would be.
inline float known_error(float error_var, float noise_var)
{
    return std::isnan(error_var) ? noise_var : error_var;
}

/*!
 * Noise variance of an equalised symbol y/h: (noise + error_var * symbol_power) / |h|^2, where h is
 * the estimate and error_var its error variance (NaN: see known_error()). Infinite where there is no estimate.
 */
float equalised_noise(cfloat h, float noise_var, float error_var, float symbol_power = 1.0f);

} // namespace core
} // namespace diffsem
} // namespace gr
