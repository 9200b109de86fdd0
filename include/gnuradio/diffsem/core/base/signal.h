/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The signal convention, in one place (NumPy twin: python/gr_diffsem/reference).
 *
 *   x complex, E|x|^2 = 1 per complex element;  y = x + sigma n, n ~ CN(0, 1), E|n|^2 = 1
 *   rho = E|x|^2 / E|sigma n|^2 = 1 / sigma^2;  SNR in dB = 10 log10 rho
 *
 * Both powers are per *complex* element. Counting one of them per real component puts a receiver
 * 3 dB off: that is the mistake tests/core/base/test_signal.cc is there to catch.
 */
#pragma once

#include <cmath>

namespace gr {
namespace diffsem {
namespace core {

inline double db_from_rho(double rho)
{
    return 10.0 * std::log10(rho);
}
inline double rho_from_db(double db)
{
    return std::pow(10.0, db / 10.0);
}
inline double sigma_from_rho(double rho)
{
    return 1.0 / std::sqrt(rho);
}
inline double rho_from_sigma(double sigma)
{
    return 1.0 / (sigma * sigma);
}
inline double sigma_from_db(double db)
{
    return std::pow(10.0, -db / 20.0);
}

/*!
 * A variance-preserving net sees x_t = sqrt(ab) (x0 + sigma n), sigma^2 = (1 - ab) / ab
 * (Ho et al. 2020, eq. 4), so the step that matches an SNR is the one of ab / (1 - ab) = rho.
 */
inline double alpha_bar_from_sigma(double sigma)
{
    return 1.0 / (1.0 + sigma * sigma);
}
inline double sigma_from_alpha_bar(double ab)
{
    return std::sqrt((1.0 - ab) / ab);
}
//! sqrt(ab): what x = x0 + sigma n is multiplied by before a VP net; sqrt(rho / (1 + rho)).
inline double vp_scale(double sigma)
{
    return 1.0 / std::sqrt(1.0 + sigma * sigma);
}

//! Rectified flow x_t = (1 - t) x0 + t n (Liu et al. 2023): the same ray at t = sigma / (1 + sigma).
inline double flow_time_from_sigma(double sigma)
{
    return sigma / (1.0 + sigma);
}
inline double sigma_from_flow_time(double t)
{
    return t / (1.0 - t);
}
inline double flow_scale(double sigma)
{
    return 1.0 / (1.0 + sigma);
}

/*!
 * Each real component of a unit-power complex signal has variance 1/2. A net whose planes have unit
 * variance sees both components times sqrt(2); sigma, being relative, does not change, and is then
 * the standard deviation of the noise of each real component.
 */
constexpr double component_scale = 1.41421356237309504880;

} // namespace core
} // namespace diffsem
} // namespace gr
