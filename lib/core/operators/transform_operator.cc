/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * transform x gains x mask: how a photograph is measured on a link without constellations.
 */
#include <gnuradio/diffsem/core/base/error.h>

#include "operators/dct.h"
#include "operators/operator_table.h"

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
        d_observed.reserve(d_gains.size());
        for (const float g : d_gains)
            d_observed.push_back(g != 0);
    }
    const char* type() const override { return "transform"; }
    std::size_t rows() const override { return d_gains.size(); }
    std::size_t cols() const override { return d_gains.size(); }
    const std::uint8_t* observed() const override { return d_observed.data(); }
    bool level_per_element() const override { return true; }
    bool takes_exact() const override { return true; }
    // The proximal step works on a copy of the coefficients of z.
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

    double residual(const Tensor& y,
                    const Sigma& noise,
                    const Tensor& x,
                    std::size_t item,
                    std::complex<double>* scratch) const override
    {
        auto* c = reinterpret_cast<float*>(scratch);
        d_transform.forward(x.item(item), c);
        double sum = 0;
        for (std::size_t k = 0; k < d_gains.size(); k++)
            if (d_gains[k] != 0 && noise.at(item, k) < Sigma::unobserved())
                sum += std::pow(double(y.item(item)[k]) - double(d_gains[k]) * c[k], 2);
        return sum;
    }

    // In double: tau - gain^2 tau^2 / (...) would cancel.
    void proximal_variance(const Sigma& noise, const Sigma& level, float* variance) const override
    {
        const std::size_t n = d_gains.size();
        for (std::size_t b = 0; b < level.batch(); b++)
            for (std::size_t k = 0; k < n; k++) {
                const double tau = std::pow(double(level.at(b, k)), 2), g = d_gains[k];
                const double nv = std::pow(double(noise.at(b, k)), 2), power = g * g * tau;
                variance[b * n + k] =
                    float(std::isfinite(nv) && power > 0 ? tau * nv / (power + nv) : tau);
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
    std::vector<std::uint8_t> d_observed;
};

OperatorMaker read(const Fields& fields, const SignalShape& signal)
{
    if (signal.domain != Domain::real || signal.shape.size() != 3 || signal.shape[0] != 3)
        throw Error(
            fields.where() +
            ": the operator 'transform' is of photographs: 'signal' needs the domain 'image'");
    return [](const OperatorInput&) -> std::shared_ptr<const Operator> {
        throw Error("the operator 'transform' has other gains for each picture: give them with it "
                    "(estimate_picture, or the block semantic_decoder)");
    };
}

OperatorEntry entry()
{
    OperatorEntry e{{"transform",
                     "y_k = g_k (T x)_k + n_k of a picture x [3, rows, columns]: T an orthonormal "
                     "colour transform and DCT-II, a "
                     "gain for each coefficient, 0 where nothing is measured. Gains, noise and "
                     "spectrum come with each picture.",
                     {}},
                    read};
    e.measurement_is_state = e.needs_spectrum = true;
    return e;
}

} // namespace

const OperatorEntry& transform_operator()
{
    static const OperatorEntry e = entry();
    return e;
}

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
