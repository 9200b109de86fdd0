/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A net that completes photographs: docs/model_contract.md, "Photographs".
 */
#pragma once

#include <gnuradio/diffsem/core/onnx/ort.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

constexpr std::size_t photo_bands = 10; // five of luma, five of both other colours

//! How a scheme of photographs goes: manifest, "plan".
struct PhotoPlan {
    int steps = 0;       //!< evaluations of the net
    float inflation = 1; //!< of the noise after the first evaluation
    bool final = true;   //!< a proximal step follows the last evaluation
    float realism = 0;   //!< 0: the posterior's mean, 1: a draw from it; needs `final`
};

//! Immutable, shared between threads.
class PhotoNet
{
public:
    //! Throws Error where metadata and graph do not agree with the contract.
    PhotoNet(const std::string& path, const LoadOptions& options);

    double scale() const { return d_scale; }
    //! Band 0..4 of a coefficient of squared frequency (u/H)^2 + (v/W)^2.
    std::size_t band(double squared_frequency) const;

    //! Buffers of one size and thread.
    class Run
    {
    public:
        Run(const PhotoNet& net, std::size_t rows, std::size_t columns);
        //! image [3, rows, columns] and level in units of the net; mean replaces image.
        void operator()(float* image,
                        const std::array<float, 2 * photo_bands>& level,
                        std::array<float, photo_bands>& log_variance);

    private:
        const std::size_t d_rows, d_columns, d_wide_rows, d_wide_columns;
        OrtRun d_run;
    };

private:
    std::shared_ptr<const OrtSession> d_session;
    std::size_t d_multiple = 1;
    double d_scale = 1;
    std::vector<double> d_edges;
};

} // namespace core
} // namespace diffsem
} // namespace gr
