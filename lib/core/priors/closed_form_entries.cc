/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/priors/gaussian.h>

#include <algorithm>
#include <complex>
#include <initializer_list>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

std::vector<std::complex<double>> complex_values(const NpyArray& array)
{
    std::vector<std::complex<double>> values(array.count());
    for (std::size_t i = 0; i < values.size(); i++)
        values[i] = array.value(i);
    return values;
}

std::vector<double> real_values(const NpyArray& array, const Fields& fields, const std::string& key)
{
    if (array.is_complex)
        fields.fail(key, "must be real");
    return array.data;
}

// The covariance [n, n] that `covariance` and `kronecker` make: of what lies on a grid, along its first axis and along
// the others, each with its own correlation.
std::vector<std::complex<double>> kronecker_product(const Fields& f, std::int64_t n)
{
    const NpyArray& inner = f.array("kronecker", {-1, -1});
    const std::int64_t m = inner.shape[0];
    if (inner.shape[1] != m || m == 0 || n % m != 0)
        f.fail("kronecker",
               "must be square, of a size that divides the signal's " + std::to_string(n));
    const std::int64_t k = n / m;
    const auto a = complex_values(f.array("covariance", {k, k})), b = complex_values(inner);
    std::vector<std::complex<double>> product(std::size_t(n * n));
    for (std::int64_t i = 0; i < n; i++)
        for (std::int64_t j = 0; j < n; j++)
            product[std::size_t(i * n + j)] =
                a[std::size_t(i / m * k + j / m)] * b[std::size_t(i % m * m + j % m)];
    return product;
}

// A Gaussian is a mixture of one component, whose arrays lack the leading axis.
std::shared_ptr<const Prior> read_mixture(const Fields& f, const SignalShape& signal, bool one)
{
    const std::string mean = one ? "mean" : "means",
                      covariance = one ? "covariance" : "covariances",
                      variance = one ? "variance" : "variances";
    MixtureParameters p;
    p.domain = signal.domain;
    p.shape = signal.shape;
    const auto n = std::int64_t(element_count(signal.shape));
    std::vector<std::int64_t> lead;
    if (!one) {
        p.weights = real_values(f.array("weights", {-1}), f, "weights");
        lead.push_back(std::int64_t(p.weights.size()));
    }
    const auto shaped = [&](std::initializer_list<std::int64_t> item) {
        std::vector<std::int64_t> shape = lead;
        shape.insert(shape.end(), item);
        return shape;
    };
    if (f.has(covariance) == f.has(variance))
        throw Error(f.where() + ": give either '" + covariance + "' or '" + variance + "'");
    if (one && f.has("kronecker"))
        p.covariances = kronecker_product(f, n);
    else if (f.has(covariance))
        p.covariances = complex_values(f.array(covariance, shaped({n, n})));
    else
        p.variances = real_values(f.array(variance, shaped({n})), f, variance);
    const auto zero = [](const auto& v) { return v == 0.0; };
    if (one && std::all_of(p.covariances.begin(), p.covariances.end(), zero) &&
        std::all_of(p.variances.begin(), p.variances.end(), zero))
        f.fail(f.has(covariance) ? covariance : variance,
               "is zero everywhere, which leaves nothing to estimate: give that of the signal");
    if (f.has(mean) || !one)
        p.means = complex_values(f.array(mean, shaped({n})));
    try {
        return make_mixture_prior(std::move(p));
    } catch (const Error& e) {
        throw Error(f.where() + ": " + e.what());
    }
}

std::shared_ptr<const Prior>
read_gaussian(const Fields& f, const SignalShape& signal, const LoadOptions&)
{
    return read_mixture(f, signal, true);
}

std::shared_ptr<const Prior>
read_gmm(const Fields& f, const SignalShape& signal, const LoadOptions&)
{
    return read_mixture(f, signal, false);
}

std::shared_ptr<const Prior> read_none(const Fields&, const SignalShape&, const LoadOptions&)
{
    return nullptr;
}

} // namespace

const PriorEntry& gaussian_prior()
{
    static const PriorEntry e{
        {"gaussian",
         "Closed form; with one step this is linear MMSE estimation (Kay, "
         "Estimation Theory, ch. 12).",
         {{"covariance", "file [N, N]; or"},
          {"kronecker", "file [M, M]: the covariance is `covariance`, [N/M, N/M], (x) this"},
          {"variance", "file [N]: a diagonal covariance"},
          {"mean", "file [N] (0)"}}},
        read_gaussian};
    return e;
}

const PriorEntry& gmm_prior()
{
    static const PriorEntry e{
        {"gmm",
         "Gaussian mixture of K components, its conditional mean in closed form.",
         {{"weights", "file [K]"},
          {"means", "file [K, N]"},
          {"covariances", "file [K, N, N]; or"},
          {"variances", "file [K, N]: diagonal covariances"}}},
        read_gmm};
    return e;
}

const PriorEntry& no_prior()
{
    static const PriorEntry e{
        {"none", "No prior: the measurement is the answer, least squares.", {}}, read_none};
    return e;
}

} // namespace core
} // namespace diffsem
} // namespace gr
