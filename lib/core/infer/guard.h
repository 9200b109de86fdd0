/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Does an estimate contradict the measurement that it was made from? docs/theory.md, "A prior that is wrong".
 */
#pragma once

#include <cstddef>

namespace gr {
namespace diffsem {
namespace core {

//! Share of items of a right prior at most that are taken for a contradiction.
constexpr double guard_false_alarm = 1e-4;

/*!
 * Probability that noise alone has at least this energy. Elements' noise is Gaussian and independent; divided by its true
 * variance, the energy is a gamma variable. Divided by a variance that was estimated, it is one over another (F).
 *
 * \param energy   sum of |n_i|^2 / s_i
 * \param elements how many are in the sum
 * \param parts    2: complex elements, 1: real ones
 * \param freedom  elements (of noise alone) whose mean power the variances s come from; 0: s is known
 */
double noise_tail(double energy, std::size_t elements, std::size_t parts, double freedom);

/*!
 * Whether the residual y - x of an estimate x has an energy (see noise_tail()) that noise has once in 1 / guard_false_alarm
 * items. The residual of a posterior's mean is the posterior's mean of the noise, so its energy is at most the
 * expected noise energy given y (Jensen), whatever the prior; that of a draw is a draw of the noise. No elements contradict nothing.
 */
bool contradicts(double energy, std::size_t elements, std::size_t parts, double freedom);

//! Of answers behind an operator that mixes elements, which an approximate guidance found: y may be missed by more than the
//! noise says, but not by `far_times` its power and by more than `far_share` of y's own power at once.
constexpr double far_times = 16, far_share = 0.5;

/*!
 * \param missed |y - A(x)|^2, noise and power the same sums of the noise's variance and of |y|^2, over measured elements
 */
bool far_off(double missed,
             double noise,
             double power,
             std::size_t elements,
             std::size_t parts,
             double freedom);

} // namespace core
} // namespace diffsem
} // namespace gr
