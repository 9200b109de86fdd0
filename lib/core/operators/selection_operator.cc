/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/operators/operator.h>

#include "operators/operator_table.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

// Identity and mask: A selects elements, so everything is a loop over them, of either domain.
class Selection : public Operator
{
public:
    Selection(const char* type, std::vector<std::uint8_t> observed)
        : d_type(type),
          d_observed(std::move(observed))
    {
    }
    const char* type() const override { return d_type; }
    std::size_t rows() const override { return d_observed.size(); }
    std::size_t cols() const override { return d_observed.size(); }
    bool keeps_elements_apart() const override { return true; }
    const std::uint8_t* observed() const override { return d_observed.data(); }

    void apply(const Tensor& x, Tensor& y) const override
    {
        y.set_batch(x.batch());
        const std::size_t parts = x.width() / x.elements();
        for (std::size_t b = 0; b < x.batch(); b++)
            for (std::size_t i = 0; i < x.width(); i++)
                y.item(b)[i] = d_observed[i / parts] ? x.item(b)[i] : 0.0f;
    }
    void adjoint(const Tensor& y, Tensor& x) const override { apply(y, x); }

    // What was measured, as it is; NaN stays NaN.
    void classical(const Tensor& y, Tensor& x) const override { apply(y, x); }

    double residual(const Tensor& y,
                    const Sigma& noise,
                    const Tensor& x,
                    std::size_t item,
                    std::complex<double>*) const override
    {
        double sum = 0;
        const std::size_t parts = x.width() / x.elements();
        for (std::size_t j = 0; j < x.width(); j++)
            if (d_observed[j / parts] && noise.at(item, j / parts) < Sigma::unobserved())
                sum += std::pow(double(y.item(item)[j]) - x.item(item)[j], 2);
        return sum;
    }

    // Precision-weighted mean of y and z.
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
            for (std::size_t i = 0; i < z.elements(); i++) {
                const double nv = std::pow(noise.at(b, i), 2), s2 = std::pow(level.at(b, i), 2);
                const float w = d_observed[i] ? static_cast<float>(s2 / (s2 + nv)) : 0.0f;
                for (std::size_t j = parts * i; j < parts * (i + 1); j++)
                    x.item(b)[j] =
                        z.item(b)[j] + (w > 0 ? w * (y.item(b)[j] - z.item(b)[j]) : 0.0f);
            }
    }

    bool has_whitening() const override { return true; }
    void
    whiten(const Sigma& noise, const Sigma& level, Tensor& v, std::complex<double>*) const override
    {
        const std::size_t parts = v.width() / v.elements();
        for (std::size_t b = 0; b < v.batch(); b++)
            for (std::size_t j = 0; j < v.width(); j++) {
                const double nv = std::pow(double(noise.at(b, j / parts)), 2),
                             s2 = std::pow(double(level.at(b, 0)), 2);
                v.item(b)[j] = d_observed[j / parts] && std::isfinite(nv)
                                   ? float(v.item(b)[j] / (s2 + nv))
                                   : 0.0f;
            }
    }

private:
    const char* d_type;
    std::vector<std::uint8_t> d_observed;
};

// Which elements are measured is the flowgraph's to say: both names stand for both cases.
std::shared_ptr<const Operator> selected(const OperatorInput& input)
{
    refuse_matrix(input, "mask");
    if (input.observed.empty())
        return make_identity_operator(input.size);
    if (input.observed.size() != input.size)
        throw Error("observed has " + std::to_string(input.observed.size()) +
                    " elements, the vectors have " + std::to_string(input.size));
    return make_mask_operator(input.observed);
}

OperatorMaker read(const Fields&, const SignalShape&)
{
    return selected;
}

OperatorEntry entry(const char* name, const char* documentation)
{
    OperatorEntry e{{name, documentation, {}}, read};
    e.measurement_is_state = true;
    return e;
}

} // namespace

const OperatorEntry& identity_operator()
{
    static const OperatorEntry e =
        entry("identity", "y = x + n. With elements that are not observed it is `mask`.");
    return e;
}

const OperatorEntry& mask_operator()
{
    static const OperatorEntry e = entry("mask",
                                         "y_i = x_i + n_i where element i is observed (the block's "
                                         "parameter `observed`), nothing elsewhere.");
    return e;
}

std::shared_ptr<const Operator> make_identity_operator(std::size_t n)
{
    return std::make_shared<Selection>("identity", std::vector<std::uint8_t>(n, 1));
}

std::shared_ptr<const Operator> make_mask_operator(std::vector<std::uint8_t> observed)
{
    if (std::none_of(observed.begin(), observed.end(), [](std::uint8_t o) { return o != 0; }))
        throw Error("the mask observes no element: name at least one");
    return std::make_shared<Selection>("mask", std::move(observed));
}

} // namespace core
} // namespace diffsem
} // namespace gr
