/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Photographs of any size through an Estimator, and from octets, symbols and noise variances in one call.
 */
#pragma once

#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/picture/picture_plan.h>

#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! What one photograph took.
struct PictureInfo {
    int evaluations = 0;    //!< of the network
    double seconds = 0;     //!< of estimate_picture(), wall clock
    double net_seconds = 0; //!< of those, with the evaluations and their proximal steps
    bool linear =
        false; //!< the network failed or gave what is not finite: the answer is the linear one
    const char* reason = ""; //!< static text, why
};

//! \param steps evaluations of the network, 0: the scheme's own. Throws Error if it is no scheme of photographs.
std::unique_ptr<Estimator> make_picture_estimator(std::shared_ptr<const Scheme> scheme,
                                                  int steps = 0);

/*!
 * Coefficients k of the transform of (image - 1/2), image 0..1, were measured as y_k = g_k x_k + n_k. All
 * arrays have 3 x rows x columns values, luma first. Deterministic: with the key `realism` of the scheme (experimental),
 * which goes from the posterior's mean (0) to a draw (1), the draw is that of the key `seed`.
 *
 * \param gains     g_k; 0: not measured
 * \param noise_var of n_k; infinite: lost; 0: exact
 * \param spectrum  E x_k^2
 * \param image     [3, rows, columns], RGB in 0..1, where `clip` is true held within it
 * \param variance  of each coefficient's error, as the last step has it; may be null
 * \param deviation [rows, columns], of a pixel's error in 0..1, as picture_deviation() spreads it; may be null
 * Throws Error for a size out of range and for values that are not what is said here.
 */
PictureInfo estimate_picture(Estimator& estimator,
                             std::size_t rows,
                             std::size_t columns,
                             const float* y,
                             const float* gains,
                             const float* noise_var,
                             const float* spectrum,
                             float* image,
                             float* variance,
                             float* deviation = nullptr,
                             bool clip = true);

/*!
 * Standard deviation of a picture's error at each pixel, [rows, columns]: the mean of the coefficients' variances,
 * [3, rows, columns], spread as the square root of the picture's own local power. The errors of a whole-image transform
 * lie anywhere; what a network leaves of them does not.
 */
void picture_deviation(std::size_t rows,
                       std::size_t columns,
                       const float* image,
                       const float* variance,
                       float* deviation);

//! A received photograph.
struct Picture {
    std::size_t rows = 0, columns = 0;
    std::vector<std::uint8_t> pixels; //!< [rows, columns, 3], RGB
    int scheme_hash = 0;              //!< of the scheme that the sender asked for, 0: none
    int hash_bits = 0;                //!< how many bits of it were sent
    std::vector<float>
        deviation; //!< [rows, columns] of picture_deviation(), where it was asked for
    PictureInfo info;
};

/*!
 * \param estimator of make_picture_estimator()
 * \param digital   octets of the photograph's digital part
 * \param symbols   analogue ones, as many as the plan in `digital` says
 * \param noise_var of each symbol; infinite or NaN: lost
 * \param deviation whether Picture::deviation is made
 * Throws Error if the octets are no photograph's or the number of symbols is not theirs.
 */
Picture receive_picture(Estimator& estimator,
                        const std::uint8_t* digital,
                        std::size_t octets,
                        const std::complex<float>* symbols,
                        const float* noise_var,
                        std::size_t n_symbols,
                        bool deviation = false);

} // namespace core
} // namespace diffsem
} // namespace gr
