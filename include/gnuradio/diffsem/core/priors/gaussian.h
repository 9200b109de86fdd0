/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Gaussian and Gaussian-mixture priors in closed form. The first *is* linear MMSE estimation; both
 * are the oracles that every sampler is tested against.
 */
#pragma once

#include <gnuradio/diffsem/core/priors/prior.h>

#include <complex>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

/*!
 * x0 ~ sum_k w_k CN(m_k, C_k) (or N, in the real domain). E|x - m|^2 on the diagonal of C_k.
 */
struct MixtureParameters {
    Domain domain = Domain::complex;
    std::vector<std::int64_t> shape;
    std::vector<double> weights = {1.0};           //!< K, positive; made to sum to one
    std::vector<std::complex<double>> means;       //!< K x N; empty: zero
    std::vector<std::complex<double>> covariances; //!< K x N x N, Hermitian; or empty and ...
    std::vector<double> variances;                 //!< ... K x N
};

//! K = 1 is a Gaussian. Throws Error for what is not a mixture.
std::shared_ptr<const Prior> make_mixture_prior(MixtureParameters parameters);

//! Prior "none": everything is equally likely, D(x, sigma) = x with variance sigma^2.
std::shared_ptr<const Prior> make_no_prior(Domain domain, std::vector<std::int64_t> shape);

} // namespace core
} // namespace diffsem
} // namespace gr
