/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scheme/scheme_parts.h"

#include <gnuradio/diffsem/core/scheme/scheme.h>
#include <gnuradio/diffsem/core/priors/gaussian.h>

#include <complex>
#include <initializer_list>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

NpyArray tensor_file(const Package& package,
                     const Fields& fields,
                     const std::string& key,
                     const std::string& where,
                     const std::vector<std::int64_t>& shape,
                     const LoadOptions& options)
{
    const std::string file = fields.text(key);
    NpyArray array =
        read_npy(package_file(package, file, where + "." + key), options.max_model_bytes);
    bool fits = array.shape.size() == shape.size();
    std::string expected, found;
    for (std::size_t i = 0; i < shape.size(); i++) {
        fits = fits && (shape[i] < 0 || array.shape[i] == shape[i]);
        expected +=
            (i ? " x " : "") + (shape[i] < 0 ? std::string("any") : std::to_string(shape[i]));
    }
    for (std::size_t i = 0; i < array.shape.size(); i++)
        found += (i ? " x " : "") + std::to_string(array.shape[i]);
    if (!fits)
        fields.fail(key,
                    "its shape is " + found + ", signal.shape and the weights ask for " + expected);
    return array;
}

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

std::shared_ptr<const Prior> load_mixture(const Package& package,
                                          const Json& json,
                                          const std::string& where,
                                          const SchemeInfo& info,
                                          const LoadOptions& options)
{
    const bool one = json["type"].as_string() == "gaussian";
    const Fields f =
        one ? Fields(json, where, {"type", "covariance", "variance", "mean"})
            : Fields(json, where, {"type", "weights", "means", "covariances", "variances"});
    const char *mean = one ? "mean" : "means", *covariance = one ? "covariance" : "covariances",
               *variance = one ? "variance" : "variances";
    MixtureParameters p;
    p.domain = info.complex_domain ? Domain::complex : Domain::real;
    p.shape = info.shape;
    const auto n = std::int64_t(element_count(info.shape));
    std::vector<std::int64_t> lead;
    if (!one) {
        p.weights =
            real_values(tensor_file(package, f, "weights", where, {-1}, options), f, "weights");
        lead.push_back(std::int64_t(p.weights.size()));
    }
    const auto shaped = [&](std::initializer_list<std::int64_t> item) {
        std::vector<std::int64_t> shape = lead;
        shape.insert(shape.end(), item);
        return shape;
    };
    if (f.has(covariance) == f.has(variance))
        throw Error(where + ": give either '" + covariance + "' or '" + variance + "'");
    if (f.has(covariance))
        p.covariances =
            complex_values(tensor_file(package, f, covariance, where, shaped({n, n}), options));
    else
        p.variances = real_values(
            tensor_file(package, f, variance, where, shaped({n}), options), f, variance);
    if (f.has(mean) || !one)
        p.means = complex_values(tensor_file(package, f, mean, where, shaped({n}), options));
    try {
        return make_mixture_prior(std::move(p));
    } catch (const Error& e) {
        throw Error(where + ": " + e.what());
    }
}

} // namespace

std::shared_ptr<const Prior> load_prior(const Package& package,
                                        const Json& member,
                                        const std::string& where,
                                        const SchemeInfo& info,
                                        const LoadOptions& options)
{
    const Json& json = member["prior"];
    if (info.prior == "none") {
        Fields(json, where, {"type"});
        return nullptr;
    }
    if (info.prior != "onnx")
        return load_mixture(package, json, where, info, options);
    const Fields f(json, where, {"type", "file"});
    const std::string path = package_file(package, f.text("file"), where + ".file");
    auto prior = make_onnx_prior(path, member, options);
    const Traits& t = prior->traits();
    if (element_count(t.shape) != element_count(info.shape) ||
        (t.domain == Domain::complex) != info.complex_domain)
        throw Error(where + ".file: " + path + " is a denoiser of " +
                    std::to_string(element_count(t.shape)) +
                    (t.domain == Domain::complex ? " complex" : " real") +
                    " elements, 'signal' says " + std::to_string(element_count(info.shape)) +
                    (info.complex_domain ? " complex" : " real") + ": correct shape and domain");
    return prior;
}

} // namespace core
} // namespace diffsem
} // namespace gr
