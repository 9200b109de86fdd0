/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/base/error.h>

#include "operators/operator_table.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr double inverse_sqrt2 = 0.70710678118654752440;
double density(double t)
{
    return std::isfinite(t) ? 0.39894228040143267794 * std::exp(-0.5 * t * t) : 0.0;
}
double between(double a, double b)
{
    return a > 0 ? 0.5 * (std::erfc(a * inverse_sqrt2) - std::erfc(b * inverse_sqrt2))
                 : 0.5 * (std::erfc(-b * inverse_sqrt2) - std::erfc(-a * inverse_sqrt2));
}

/*
 * y = Q(x + n): each real component lies in one of 2^b cells of equal width, the outer ones open, and y is the middle of
 * its cell (half a step beyond the last threshold where it is open). The posterior step is exact: u = x + n is
 * Gaussian around z and known to lie in the cell, so E[u] is a truncated normal's mean, and E[x] lies on the line from z
 * to it (J. Mo, P. Schniter, R. W. Heath, IEEE Trans. Signal Processing 2018, eq. 24-25).
 */
class Quantiser : public Operator
{
public:
    Quantiser(std::size_t n, int bits, double step) : d_n(n), d_cells(1 << bits), d_step(step) {}
    const char* type() const override { return "quantiser"; }
    std::size_t rows() const override { return d_n; }
    std::size_t cols() const override { return d_n; }
    bool linear() const override { return false; }

    void apply(const Tensor& x, Tensor& y) const override
    {
        y.set_batch(x.batch());
        for (std::size_t j = 0; j < x.size(); j++)
            y.data()[j] = float((cell(x.data()[j]) - d_cells / 2 + 0.5) * d_step);
    }
    void adjoint(const Tensor& y, Tensor& x) const override { classical(y, x); }
    void classical(const Tensor& y, Tensor& x) const override
    {
        x.set_batch(y.batch());
        std::copy(y.data(), y.data() + y.size(), x.data());
    }

    double residual(const Tensor& y,
                    const Sigma& noise,
                    const Tensor& x,
                    std::size_t item,
                    std::complex<double>*) const override
    {
        double sum = 0;
        const std::size_t parts = x.width() / x.elements();
        for (std::size_t j = 0; j < x.width(); j++) {
            const auto [low, high] = limits(y.item(item)[j]);
            const double value = x.item(item)[j];
            if (noise.at(item, j / parts) < Sigma::unobserved())
                sum += std::pow(std::max({low - value, value - high, 0.0}), 2);
        }
        return sum;
    }

    void proximal(const Tensor& y,
                  const Sigma& noise,
                  const Tensor& z,
                  const Sigma& level,
                  Tensor& x,
                  std::complex<double>*) const override
    {
        x.set_batch(z.batch());
        const std::size_t parts = z.width() / z.elements();
        for (std::size_t b = 0; b < z.batch(); b++)
            for (std::size_t j = 0; j < z.width(); j++) {
                const double s2 = std::pow(double(level.at(b, j / parts)), 2) / double(parts);
                const double nv = std::pow(double(noise.at(b, j / parts)), 2) / double(parts);
                const double at = z.item(b)[j];
                x.item(b)[j] =
                    std::isfinite(nv) ? float(at + shift(y.item(b)[j], at, s2, nv)) : float(at);
            }
    }

private:
    int cell(double value) const
    {
        const double k = std::floor(value / d_step) + d_cells / 2;
        return int(std::max(0.0, std::min(double(d_cells - 1), k))); // NaN: the last
    }
    std::pair<double, double> limits(double y) const
    {
        constexpr double inf = std::numeric_limits<double>::infinity();
        const int k = cell(y);
        return {k == 0 ? -inf : (k - d_cells / 2) * d_step,
                k == d_cells - 1 ? inf : (k + 1 - d_cells / 2) * d_step};
    }
    // E[x] - z of one component.
    double shift(double y, double z, double s2, double nv) const
    {
        const double v = s2 + nv, deviation = std::sqrt(v);
        if (!(v > 0))
            return 0;
        const auto [low, high] = limits(y);
        const double a = (low - z) / deviation, b = (high - z) / deviation;
        const double mass = between(a, b);
        // Where the cell is out of sight, all of the mass lies at its nearer edge.
        const double mean = mass > 1e-280 ? (density(a) - density(b)) / mass : (a > 0 ? a : b);
        return s2 / v * deviation * mean;
    }

    std::size_t d_n;
    int d_cells;
    double d_step;
};

OperatorMaker read(const Fields& fields, const SignalShape&)
{
    const int bits = fields.integer("bits", 1);
    const double step = fields.number("step", 1.0);
    if (bits < 1 || bits > 16)
        fields.fail("bits", "must lie in 1 .. 16");
    if (!(step >= 1e-6 && step <= 1e6))
        fields.fail("step", "must lie in 1e-6 .. 1e6, in units of a signal of unit power");
    return [bits, step](const OperatorInput& input) -> std::shared_ptr<const Operator> {
        refuse_observed(input);
        refuse_matrix(input, "quantiser");
        if (input.measured_gain)
            throw Error(
                "the operator 'quantiser' has fixed thresholds: the signal's gain must be 'unit'");
        return std::make_shared<Quantiser>(input.size, bits, step);
    };
}

OperatorEntry entry()
{
    OperatorEntry e{{"quantiser",
                     "y = Q(x + n): a converter of b bits for each real component, with uniform "
                     "thresholds around 0 and known "
                     "gain; the noise lies in front of it. The posterior step is exact.",
                     {{"bits", "b, 1 .. 16 (1)"},
                      {"step", "distance of two thresholds, for a signal of unit power (1)"}}},
                    read};
    e.example = R"({"bits": 2, "step": 0.7})";
    return e;
}

} // namespace

const OperatorEntry& quantiser_operator()
{
    static const OperatorEntry e = entry();
    return e;
}

} // namespace core
} // namespace diffsem
} // namespace gr
