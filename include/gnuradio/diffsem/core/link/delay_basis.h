/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which channels are possible: those whose delays lie in a window. As few numbers as describe them.
 */
#pragma once

#include <gnuradio/diffsem/core/base/types.h>

#include <Eigen/Core>

#include <cstddef>
#include <memory>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * An orthonormal basis B of the responses on some carriers of an OFDM symbol whose delays lie in a window: the
 * eigenvectors of their covariance, delays uniform in the window (Slepian, Bell Syst. Tech. J. 57(5), 1978), whose
 * eigenvalues are above 1e-5 of the largest. B B^H h leaves such a response as it is and takes from white noise all but
 * size() / carriers() of its power. Carriers are taken in bands of at most 64, each with a basis of its own, so that
 * the cost grows with their number and not with its square.
 */
class DelayBasis
{
public:
    /*!
     * \param carriers ascending frequencies, in carrier spacings
     * \param fft_len  carrier spacings in the sample rate
     * \param first, last the window, in samples
     */
    DelayBasis(const std::vector<int>& carriers, int fft_len, double first, double last);
    ~DelayBasis();

    std::size_t carriers() const { return d_carriers; }
    std::size_t size() const { return d_size; } //!< elements of B^H h
    //! Mean power of each for a channel of unit power with uniform delays; together nearly carriers().
    const Eigen::ArrayXf& shares() const { return d_shares; }

    void analyse(const cfloat* response, cfloat* coefficients) const;    //!< B^H h
    void synthesise(const cfloat* coefficients, cfloat* response) const; //!< B c

private:
    struct Band;
    std::vector<std::unique_ptr<Band>> d_bands;
    std::size_t d_carriers = 0, d_size = 0;
    Eigen::ArrayXf d_shares;
};

} // namespace core
} // namespace diffsem
} // namespace gr
