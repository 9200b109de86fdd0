/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is computed from the OFDM symbols of a frame, once it is found, to read its header; and, behind
 * the equaliser, the noise of each of its symbols. Spectra are in shifted order.
 */
#pragma once

#include <gnuradio/diffsem/core/link/carrier_noise.h>
#include <gnuradio/diffsem/core/link/frame_header.h>

#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Where things are in the OFDM symbols of a frame: two sync words, header, payload.
struct FrameLayout {
    std::vector<cfloat> word1, word2; //!< N values each, |.| = 1 on the carriers in use, else 0
    std::vector<int> data;            //!< indices 0..N-1 of data carriers, in the order of symbols
    std::vector<int> pilots;          //!< indices of pilot carriers
    //! Pilots of each symbol behind the sync words; gone through again when they end.
    std::vector<std::vector<cfloat>> pilot_symbols;
    int cp_len = 16;        //!< delays that a channel may have, samples
    int frame_symbols = 50; //!< OFDM symbols of a full payload

    int fft_len() const { return static_cast<int>(word1.size()); }
    //! OFDM symbols of the header.
    int header_symbols() const
    {
        const int n = static_cast<int>(data.size());
        return (FrameHeader::symbols + n - 1) / n;
    }
    //! Throws Error naming what does not fit.
    void check() const;
};

/*!
 * The receiver's first look at a frame: noise, channel and residual offset, so that the header can be
 * decoded. The channel is the LMMSE estimate from both sync words, under the belief that delays lie within the
 * cyclic prefix and most power where the preamble's correlator puts it, in its first half. A carrier that does not
 * fit to the others was hit by interference: it gets the channel of the others and more noise.
 */
class FrameFront
{
public:
    explicit FrameFront(FrameLayout layout);

    const FrameLayout& layout() const { return d_layout; }

    //! Take the two sync words as received, N carriers each.
    void sync(const cfloat* first, const cfloat* second);

    float noise() const { return d_noise; } //!< per carrier of the input, E|n|^2
    float power() const { return d_power; } //!< mean |h|^2 over the carriers in use
    /*!
     * Both sync words as one, as if sync_reference() had been sent: the same noise per carrier as
     * any other symbol, and twice the energy.
     */
    const std::vector<cfloat>& combined() const { return d_combined; }
    const std::vector<cfloat>& sync_reference() const { return d_reference; }

    /*!
     * Phase step per symbol that a carrier offset has left, rad, from the pilots of the first \p n
     * symbols behind the sync words; the sync words' own phase is its anchor.
     */
    double residual(const cfloat* symbols, int n) const;
    //! What turns symbol \p s back, for such a step.
    static cfloat turn_back(double step, int s);

    //! Soft bits of the header, header_symbols() symbols, turned back by \p step.
    void soft_bits(const cfloat* symbols, double step, HeaderSoftBits& soft) const;

private:
    void infer();
    void spare_the_hit(const std::vector<cfloat>& first, const std::vector<cfloat>& second);

    FrameLayout d_layout;
    std::vector<int> d_used;       // carriers of the sync words
    std::vector<cfloat> d_basis;   // eigenvectors of the belief, used x used, column by column
    std::vector<float> d_strength; // eigenvalues
    std::vector<cfloat> d_reference, d_combined, d_taps, d_average;
    std::vector<float> d_error, d_excess; // of the channel; noise of hit carriers above that of all
    float d_noise = 0, d_power = 0;
};

//! The data symbols of a frame's payload, in the order in which they were sent.
struct FramePayload {
    std::vector<cfloat> symbols;
    std::vector<float> noise_var; //!< of each symbol; infinite where its carrier has no estimate
    double snr_db = 0;            //!< mean power of the taps of the data carriers over the noise
};

/*!
 * Noise of the symbols of an equalised frame, and its sampling clock.
 *
 * The equaliser has taken out the phase common to all carriers; what a clock error leaves is a phase that
 * grows with carrier and symbol. It is fitted to pilots and header (whose symbols are known once it is
 * decoded) and turned back. Their residual then measures the noise as it is, with all that the
 * estimate of the sync words did not see; and it is looked at carrier by carrier and symbol by symbol
 * (noise_factors), because interference is not the same on all.
 */
class FrameNoise
{
public:
    explicit FrameNoise(FrameLayout layout);

    const FrameLayout& layout() const { return d_layout; }

    /*!
     * \param frame      equalised, header and payload, (header_symbols + payload) x N; the clock's
     *                   phase is removed from it in place
     * \param payload    OFDM symbols of the payload
     * \param header     decoded
     * \param taps       N; zero where nothing is known
     * \param noise_var  per carrier of the input, as estimated before
     * \param error_var  N, E|h - estimate|^2; NaN: unknown (known_error())
     * \param lost       of each symbol of the frame: share of its samples that were taken out; null: none
     * Returns the noise variance per carrier of the input; \p error_scale times error_var is what goes
     * with it (the estimate's error is proportional to the noise).
     */
    float measure(cfloat* frame,
                  int payload,
                  const FrameHeader& header,
                  const cfloat* taps,
                  float noise_var,
                  const float* error_var,
                  float& error_scale,
                  const float* lost = nullptr);
    //! Likewise, and takes the payload out with what was measured. \p symbols: OFDM symbols of the payload.
    FramePayload read(cfloat* frame,
                      int symbols,
                      const FrameHeader& header,
                      const cfloat* taps,
                      float noise_var,
                      const float* error_var,
                      const float* lost = nullptr);
    //! Clock error found in the last frame, samples per sample.
    double clock_error() const { return d_clock; }

private:
    FrameLayout d_layout;
    HeaderCode d_code;
    CarrierNoise d_carriers;
    std::vector<double> d_symbols; // factor of the noise of each, header and payload
    double d_clock = 0, d_loss = 0;
};

} // namespace core
} // namespace diffsem
} // namespace gr
