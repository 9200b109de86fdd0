/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The noise variance of a measurement from the measurement itself. All estimators are unbiased and
 * give E|n|^2 per complex element, in the units of y squared.
 */
#pragma once

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/base/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * N bytes from a list of indices: 1 at each. Throws Error naming \p parameter when one is outside
 * 0..n-1 or appears twice.
 */
std::vector<std::uint8_t>
mask_from_indices(const std::vector<int>& indices, std::size_t n, const std::string& parameter);

//! Carriers known to be empty hold nothing but noise: their mean power.
float null_carrier_noise(const cfloat* y, const std::vector<int>& carriers);

/*!
 * Two receptions of the same x: half the mean power of their difference, after a rotation common to
 * all elements (a residual carrier offset) is taken out; that fit costs one of 2N real degrees of
 * freedom, which is allowed for. The mean of the two goes to \p average, and has half the variance
 * that is returned.
 * \param observed n bytes or null; only these elements are compared
 */
float repeated_noise(const cfloat* first,
                     const cfloat* second,
                     const std::uint8_t* observed,
                     std::size_t n,
                     cfloat* average);

/*!
 * Noise from the tail of the delay response. A channel whose taps lie within a window of delays can
 * only produce frequency responses in a small subspace; what a measurement has outside it is noise.
 * The subspace is that of the leading eigenvectors of the covariance of a uniform delay profile
 * over the window, R[k,l] = sinc((k - l) W/N) exp(-j pi (k - l) W/N), on the observed carriers only. So
 * partial occupancy and delays between samples cost degrees of freedom, not bias. With all carriers
 * occupied and whole delays this is the power of the taps behind the window of the inverse DFT.
 *
 * Long spectra are cut into blocks, each with its own subspace: a block of B carriers needs about
 * B W/N + 6 dimensions, and the eigenproblem stays small.
 */
class DelayTailNoise
{
public:
    /*!
     * \param observed N bytes, non-zero where y is measured; elements in order of frequency
     * \param window   delays 0..window (samples at N carriers) where the channel may have taps
     * \param margin   samples added on both sides, for timing error and pulse shape
     * Throws Error when the window leaves too few degrees of freedom.
     */
    DelayTailNoise(const std::vector<std::uint8_t>& observed, float window, float margin = 1.5f);

    float operator()(const cfloat* y) const;
    //! Complex degrees of freedom left: the estimate has a relative variance of 1/freedom().
    int freedom() const { return d_freedom; }

private:
    struct Block {
        std::vector<int> carriers;
        std::vector<cfloat> turn; // moves the window's centre to delay 0, where R is real
        std::vector<float> basis; // rank x carriers
        int rank = 0;
    };
    std::vector<Block> d_blocks;
    int d_freedom = 0;
};

} // namespace core
} // namespace diffsem
} // namespace gr
