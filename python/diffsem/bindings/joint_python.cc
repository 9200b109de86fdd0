/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Several unknowns over NumPy arrays.
 */
#include "run_estimator.h"

#include <gnuradio/diffsem/core/infer/joint_estimator.h>
#include <gnuradio/diffsem/scheme.h>

#include <algorithm>
#include <vector>

namespace gr {
namespace diffsem {

namespace {

// y is [..., M], or [..., *shape] of the measurement; gives the shape of the batch.
std::vector<py::ssize_t> batch_of(const complex_array& y, const core::JointEstimator& estimator)
{
    const auto& own = estimator.scheme().info().shape;
    const auto m = static_cast<py::ssize_t>(estimator.input_size());
    const std::vector<py::ssize_t> shape(y.shape(), y.shape() + y.ndim());
    const auto ends_in = [&](const std::vector<std::int64_t>& tail) {
        return shape.size() >= tail.size() &&
               std::equal(tail.rbegin(), tail.rend(), shape.rbegin());
    };
    if (ends_in(own))
        return {shape.begin(), shape.end() - static_cast<std::ptrdiff_t>(own.size())};
    if (ends_in({m}))
        return {shape.begin(), shape.end() - 1};
    std::string wanted;
    for (auto n : own)
        wanted += (wanted.empty() ? "" : ", ") + std::to_string(n);
    throw core::Error("y must end in [" + wanted + "] or [" + std::to_string(m) + "], as scheme '" +
                      estimator.scheme().info().spec + "' measures");
}

py::tuple run_joint(core::JointEstimator& estimator,
                    const complex_array& y,
                    const float_array& noise_var,
                    std::uint64_t first)
{
    const std::vector<py::ssize_t> batch = batch_of(y, estimator);
    const auto m = static_cast<py::ssize_t>(estimator.input_size());
    const py::ssize_t items = y.size() / m;
    float_array each =
        noise_var; // [*shape] is one for each element of y, whatever the number of items
    if (each.size() == m && each.ndim() > 1 && items > 1)
        each = float_array(each.reshape({m}));
    const noise_variances noise = noise_from(each, items, m);
    py::dict means, variances;
    std::vector<core::cfloat*> mean(estimator.unknowns());
    std::vector<float*> variance(estimator.unknowns());
    for (std::size_t u = 0; u < estimator.unknowns(); u++) {
        std::vector<py::ssize_t> shape = batch;
        for (auto n : estimator.shape(u))
            shape.push_back(static_cast<py::ssize_t>(n));
        py::array_t<core::cfloat> of_mean(shape);
        py::array_t<float> of_variance(shape);
        mean[u] = of_mean.mutable_data();
        variance[u] = of_variance.mutable_data();
        means[py::str(estimator.name(u))] = of_mean;
        variances[py::str(estimator.name(u))] = of_variance;
    }
    std::vector<core::ItemInfo> info(items);
    const interruptible watch;
    {
        const core::cfloat* data = y.data();
        py::gil_scoped_release release;
        estimator.run(data,
                      items,
                      noise.values.data(),
                      noise.stride,
                      first,
                      mean.data(),
                      variance.data(),
                      info.data(),
                      watch.limit());
    }
    watch.raise();
    return py::make_tuple(means, variances, info_arrays(info, batch));
}

core::EstimatorOptions options_of(int rounds,
                                  float eta,
                                  std::uint64_t seed,
                                  std::uint64_t stream,
                                  const py::object& condition)
{
    core::EstimatorOptions options;
    options.conditions = conditions_from(condition);
    options.steps = rounds;
    options.eta = eta;
    options.seed = seed;
    options.stream = stream;
    return options;
}

} // namespace

py::tuple estimate_jointly(std::shared_ptr<const core::Scheme> scheme,
                           const complex_array& y,
                           const float_array& noise_var,
                           const py::object& observed,
                           const py::object& matrix,
                           int rounds,
                           float eta,
                           std::uint64_t seed,
                           std::uint64_t stream,
                           std::uint64_t first,
                           std::size_t max_batch,
                           float noise_freedom,
                           const py::object& condition,
                           py::ssize_t draws)
{
    if (!observed.is_none() || !matrix.is_none())
        throw core::Error(
            "scheme '" + scheme->info().spec +
            "' has several unknowns and takes neither a matrix nor observed elements: give "
            "lost elements an infinite noise variance");
    if (draws)
        throw core::Error("draws is " + std::to_string(draws) + ", but scheme '" +
                          scheme->info().spec +
                          "' has several unknowns, whose means are found in turn: there is nothing "
                          "to draw them from together. Give 0; variances say how sure each is");
    auto options = options_of(rounds, eta, seed, stream, condition);
    options.max_batch = max_batch;
    options.noise_freedom = noise_freedom;
    core::JointEstimator estimator(std::move(scheme), options);
    return run_joint(estimator, y, noise_var, first);
}

} // namespace diffsem
} // namespace gr

using namespace gr::diffsem;

void bind_joint(py::module& parent)
{
    py::module m = parent.attr("core");
    py::class_<core::JointEstimator>(
        m,
        "JointEstimator",
        "Run state of one stream of a scheme of several unknowns: scheme.estimate() that is kept.")
        .def(py::init([](const scheme::sptr& handle,
                         int rounds,
                         float eta,
                         std::uint64_t seed,
                         std::uint64_t stream,
                         const py::object& condition) {
                 return std::make_unique<core::JointEstimator>(
                     handle->get(), options_of(rounds, eta, seed, stream, condition));
             }),
             py::arg("scheme"),
             py::arg("rounds") = 0,
             py::arg("eta") = -1.0f,
             py::arg("seed") = 0,
             py::arg("stream") = 0,
             py::arg("condition") = py::none())
        .def("run",
             &run_joint,
             py::arg("y"),
             py::arg("noise_var"),
             py::arg("first") = 0,
             "(means, variances, info) as scheme.estimate() gives them.")
        .def("set_rounds", &core::JointEstimator::set_steps, py::arg("rounds"))
        .def("set_eta", &core::JointEstimator::set_eta, py::arg("eta"))
        .def("set_seed", &core::JointEstimator::set_seed, py::arg("seed"))
        .def_property_readonly("max_evaluations", &core::JointEstimator::max_evaluations)
        .def_property_readonly("input_size", &core::JointEstimator::input_size);
}
