/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Inference of photographs, of any size: a real signal [3, H, W] measured by the operator `transform`. The
 * sibling of the Estimator (scheme.h) for schemes of the domain `image`.
 */
#pragma once

#include <gnuradio/diffsem/core/scheme/scheme.h>

#include <cstddef>
#include <memory>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! What one photograph took.
struct PhotoInfo {
    int evaluations = 0;    //!< of the net
    double seconds = 0;     //!< of run(), wall clock
    double net_seconds = 0; //!< of those, with the evaluations and their proximal steps
    bool linear =
        false; //!< the net failed or gave what is not finite: the answer is the linear one
    const char* reason = ""; //!< static text, why
};

/*!
 * Runs a scheme of photographs (`linear` is built in: Gaussian prior, one step). Not thread safe; buffers of the
 * last size are kept. Inference is deterministic: with the key `realism` of the scheme (experimental), which goes from
 * the posterior's mean (0) to a draw (1), the draw is that of the key `seed`.
 */
class PhotoEstimator
{
public:
    //! \param steps evaluations of the net, 0: the scheme's own. Throws Error if it is no scheme of photographs.
    explicit PhotoEstimator(std::shared_ptr<const Scheme> scheme, int steps = 0);
    ~PhotoEstimator();

    /*!
     * Coefficients k of the transform of (image - 1/2), image 0..1, were measured as y_k = g_k x_k + n_k. All
     * arrays have 3 x rows x columns values, luma first.
     *
     * \param gains     g_k; 0: not measured
     * \param noise_var of n_k; infinite: lost
     * \param spectrum  E x_k^2
     * \param image     [3, rows, columns], RGB, clipped to 0..1
     * \param variance  of each coefficient under the linear receiver; may be null
     * Throws Error for a size out of range and for values that are not what is said here.
     */
    PhotoInfo run(std::size_t rows,
                  std::size_t columns,
                  const float* y,
                  const float* gains,
                  const float* noise_var,
                  const float* spectrum,
                  float* image,
                  float* variance);

    //! Evaluations that a picture takes from now on; as at construction.
    void set_steps(int steps);
    int steps() const;

    const Scheme& scheme() const;

private:
    class Impl;
    std::unique_ptr<Impl> d;
};

} // namespace core
} // namespace diffsem
} // namespace gr
