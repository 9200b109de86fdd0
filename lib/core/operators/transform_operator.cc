/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * transform x gains x mask: how a photograph is measured on a link without constellations.
 */
#include <gnuradio/diffsem/core/operators/operator.h>

#include <gnuradio/diffsem/core/base/error.h>

#include "operators/dct.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

/*
 * y_k = g_k (T x)_k, T orthonormal. So A^T y = T^T (g y), and the proximal step is a scalar one for every
 * coefficient. Nothing but the gains is stored.
 */
class TransformOperator : public Operator
{
public:
    TransformOperator(std::size_t rows, std::size_t columns, std::vector<float> gains)
        : d_transform(rows, columns),
          d_gains(std::move(gains))
    {
    }
    const char* type() const override { return "transform"; }
    std::size_t rows() const override { return d_gains.size(); }
    std::size_t cols() const override { return d_gains.size(); }
    // The proximal step works on a copy of the coefficients of y.
    std::size_t scratch_size() const override { return (d_gains.size() + 3) / 4; }

    void apply(const Tensor& x, Tensor& y) const override
    {
        y.set_batch(x.batch());
        for (std::size_t b = 0; b < x.batch(); b++) {
            d_transform.forward(x.item(b), y.item(b));
            for (std::size_t k = 0; k < d_gains.size(); k++)
                y.item(b)[k] *= d_gains[k];
        }
    }

    void adjoint(const Tensor& y, Tensor& x) const override
    {
        x.set_batch(y.batch());
        for (std::size_t b = 0; b < y.batch(); b++) {
            for (std::size_t k = 0; k < d_gains.size(); k++)
                x.item(b)[k] = d_gains[k] != 0 ? d_gains[k] * y.item(b)[k] : 0.0f;
            d_transform.inverse(x.item(b), x.item(b));
        }
    }

    // level per element: of the coefficients T (x - z), not of the pixels. noise 0: what was measured holds, and
    // only the null space is z's. What has no gain, or infinite noise, may be anything in y.
    void proximal(const Tensor& y,
                  const Sigma& noise,
                  const Tensor& z,
                  const Sigma& level,
                  Tensor& x,
                  std::complex<double>* scratch) const override
    {
        auto* prior = reinterpret_cast<float*>(scratch);
        x.set_batch(z.batch());
        for (std::size_t b = 0; b < z.batch(); b++) {
            d_transform.forward(z.item(b), prior);
            for (std::size_t k = 0; k < d_gains.size(); k++) {
                const double g = d_gains[k], s = level.at(b, k), n = noise.at(b, k);
                float value = prior[k];
                if (g != 0 && n < Sigma::unobserved() && s > 0) {
                    // s -> infinity: the measurement alone
                    const double gain =
                        s < Sigma::unobserved() ? s * s * g / (s * s * g * g + n * n) : 1.0 / g;
                    value += float(gain * (y.item(b)[k] - g * prior[k]));
                }
                x.item(b)[k] = value;
            }
            d_transform.inverse(x.item(b), x.item(b));
        }
    }

private:
    PhotoTransform d_transform;
    std::vector<float> d_gains;
};

} // namespace

std::shared_ptr<const Operator>
make_transform_operator(std::size_t rows, std::size_t columns, std::vector<float> gains)
{
    if (rows < 1 || columns < 1 || rows > max_photo_side || columns > max_photo_side)
        throw Error("a picture of " + std::to_string(rows) + " x " + std::to_string(columns) +
                    " pixels: both sides must lie in 1 .. " + std::to_string(max_photo_side));
    if (gains.size() != 3 * rows * columns)
        throw Error("the operator 'transform' has " + std::to_string(gains.size()) +
                    " gains, a picture of " + std::to_string(rows) + " x " +
                    std::to_string(columns) + " has " + std::to_string(3 * rows * columns) +
                    " coefficients: give one for each, 0 for what was not sent");
    for (const float g : gains)
        if (!std::isfinite(g))
            throw Error("the operator 'transform' has gains that are not finite");
    return std::make_shared<TransformOperator>(rows, columns, std::move(gains));
}

} // namespace core
} // namespace diffsem
} // namespace gr
