/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * An Estimator over NumPy arrays: what comes in is checked and made contiguous, what goes out are arrays of the batch's shape.
 */
#include "run_estimator.h"

#include <gnuradio/diffsem/core/link/noise_estimate.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <type_traits>
#include <vector>

namespace gr {
namespace diffsem {

core::EstimatorOptions estimator_options(const core::Scheme& scheme,
                                         std::size_t item_size,
                                         const py::object& observed,
                                         const py::object& matrix,
                                         int steps,
                                         float eta,
                                         std::uint64_t seed,
                                         std::uint64_t stream,
                                         std::size_t max_batch,
                                         float noise_freedom)
{
    core::EstimatorOptions options;
    if (!matrix.is_none()) {
        const auto a = matrix_array(matrix);
        options.matrix_rows = a.shape(0);
        options.item_size = a.shape(1);
        options.matrix.assign(a.data(), a.data() + a.size());
    } else {
        options.item_size = scheme.item_size() ? scheme.item_size() : item_size;
    }
    if (!observed.is_none()) {
        const auto given = py::cast<py::array>(observed);
        const auto n = static_cast<py::ssize_t>(options.item_size);
        if (given.dtype().kind() == 'b') {
            const auto mask = py::cast<py::array_t<bool, py::array::forcecast>>(given);
            if (mask.ndim() != 1 || mask.size() != n)
                throw core::Error("observed is a mask of " + std::to_string(mask.size()) +
                                  " values, an item has " + std::to_string(n) + " elements");
            for (py::ssize_t i = 0; i < n; i++)
                options.observed.push_back(mask.at(i));
        } else {
            options.observed = core::mask_from_indices(
                py::cast<std::vector<int>>(py::cast<py::list>(given.attr("tolist")())),
                n,
                "observed");
        }
    }
    options.steps = steps;
    options.eta = eta;
    options.seed = seed;
    options.stream = stream;
    options.max_batch = max_batch;
    options.noise_freedom = noise_freedom;
    return options;
}

complex_array matrix_array(const py::object& matrix)
{
    const bool named = py::isinstance<py::str>(matrix) || py::hasattr(matrix, "__fspath__");
    const auto a = named ? complex_array() : complex_array::ensure(matrix);
    PyErr_Clear();
    if (named) {
        const std::string path = py::str(matrix);
        throw core::Error("matrix is the name '" + path.substr(path.find_last_of('/') + 1) +
                          "', no array: give what the file holds, numpy.load(...)");
    }
    if (!a)
        throw core::Error("matrix is " + std::string(py::repr(matrix)).substr(0, 60) +
                          ", no array: give M x N numbers for y = A x + n");
    if (a.ndim() != 2)
        throw core::Error("matrix has " + std::to_string(a.ndim()) +
                          " dimensions: give M x N for y = A x + n");
    return a;
}

namespace {

constexpr double most_of_draws = 4294967296.0; // bytes

} // namespace

void check_draw_count(const core::Estimator& estimator, py::ssize_t draws, std::size_t items)
{
    if (draws < 1)
        throw core::Error("draws is " + std::to_string(draws) + ": give 1 or more, 0 for none");
    const double parts = estimator.scheme().info().complex_domain ? 2 : 1;
    const double of_one = sizeof(float) * parts * double(estimator.output_size()) *
                          double(std::max<std::size_t>(items, 1));
    const double most = std::max(std::floor(most_of_draws / of_one), 1.0);
    if (double(draws) > most)
        throw core::Error(
            "draws is " + std::to_string(draws) + ": of " + std::to_string(items) + " items of " +
            std::to_string(estimator.output_size()) + " elements they take " +
            std::to_string(std::int64_t(of_one * double(draws) / 1e9)) + " GB: give at most " +
            std::to_string(std::int64_t(most)) + ", or fewer items in one call");
}

py::array array_of(const py::object& y)
{
    py::array array = py::array::ensure(y);
    if (!array) {
        PyErr_Clear();
        throw core::Error("y is no array of numbers: give one of [..., M]");
    }
    return array;
}

std::vector<float> condition_values(const std::string& name, const py::handle& values)
{
    const auto array = float_array::ensure(values);
    if (!array) {
        PyErr_Clear();
        throw core::Error("the condition '" + name + "' was given " +
                          std::string(py::repr(values)).substr(0, 60) +
                          ": give a number, or an array of numbers");
    }
    return {array.data(), array.data() + array.size()};
}

std::map<std::string, std::vector<float>> conditions_from(const py::object& condition)
{
    std::map<std::string, std::vector<float>> all;
    if (condition.is_none())
        return all;
    if (!py::isinstance<py::dict>(condition))
        throw core::Error("condition is " + std::string(py::repr(condition)).substr(0, 60) +
                          ": give a dict such as {'class': 3}");
    for (const auto& [name, values] : py::cast<py::dict>(condition))
        all[py::cast<std::string>(py::str(name))] =
            condition_values(py::cast<std::string>(py::str(name)), values);
    return all;
}

namespace {

// Of what size the condition is that has this name; 0: there is none, which the estimator will say.
std::size_t count_of(const core::Scheme& scheme, const std::string& name)
{
    const auto& prior = scheme.parts().prior;
    if (prior)
        for (const auto& input : prior->traits().conditions)
            if (input.name == name)
                return input.count;
    return 0;
}

// Whether these are values for each of so many items, not for all of them.
bool in_rows(std::size_t given, std::size_t count, std::size_t items)
{
    return given != count && given == count * items;
}

// Tells the estimator what the call says, and gives what must outlive the run.
std::map<std::string, std::vector<float>>
row_conditions(core::Estimator& estimator, const py::object& condition, std::size_t items)
{
    auto all = conditions_from(condition);
    for (auto& [name, values] : all) {
        const std::size_t count = count_of(estimator.scheme(), name);
        if (in_rows(values.size(), count, items))
            estimator.set_conditions(name, values.data(), items);
        else
            estimator.set_condition(name, values.data(), values.size());
    }
    return all;
}

} // namespace

std::map<std::string, std::vector<float>>
constant_conditions(const core::Scheme& scheme, const py::object& condition, std::size_t items)
{
    auto all = conditions_from(condition);
    for (auto& [name, values] : all) { // of rows the first will do, the run itself brings all
        const std::size_t count = count_of(scheme, name);
        if (in_rows(values.size(), count, items))
            values.resize(count);
    }
    return all;
}

noise_variances noise_from(const float_array& noise_var, py::ssize_t items, py::ssize_t m)
{
    noise_variances noise;
    if (noise_var.size() == 1)
        noise.values.assign(std::max<py::ssize_t>(items, 1), noise_var.data()[0]);
    else if (noise_var.size() == items)
        noise.values.assign(noise_var.data(), noise_var.data() + items);
    else if (noise_var.size() == items * m) {
        noise.values.assign(noise_var.data(), noise_var.data() + items * m);
        noise.stride = m;
    } else if (noise_var.ndim() == 1 && noise_var.size() == m) {
        for (py::ssize_t i = 0; i < items; i++)
            noise.values.insert(noise.values.end(), noise_var.data(), noise_var.data() + m);
        noise.stride = m;
    } else {
        throw core::Error("noise_var has " + std::to_string(noise_var.size()) +
                          " values: give one, one for each of " + std::to_string(items) +
                          " items, or one for each element");
    }
    return noise;
}

py::dict info_arrays(const std::vector<core::ItemInfo>& info, const std::vector<py::ssize_t>& batch)
{
    py::array_t<float> used(batch), gain(batch), residual(batch);
    py::array_t<int> steps(batch);
    py::array_t<bool> bypassed(batch), guarded(batch), few(batch);
    py::list reason;
    for (std::size_t i = 0; i < info.size(); i++) {
        used.mutable_data()[i] = info[i].noise_var;
        gain.mutable_data()[i] = info[i].gain;
        residual.mutable_data()[i] = info[i].residual;
        steps.mutable_data()[i] = info[i].steps;
        bypassed.mutable_data()[i] = info[i].bypassed;
        guarded.mutable_data()[i] = info[i].guarded;
        few.mutable_data()[i] = info[i].few_observed;
        reason.append(py::str(info[i].reason));
    }
    py::dict out;
    out["noise_var"] = used;
    out["gain"] = gain;
    out["steps"] = steps;
    out["bypassed"] = bypassed;
    out["guarded"] = guarded;
    out["few_observed"] = few;
    out["reason"] = reason;
    out["residual"] = residual;
    return out;
}

namespace {

// A measurement from Python: of the scheme's domain, with its noise.
struct Measured {
    py::array y;
    bool real;
    py::ssize_t items, rows;
    std::vector<py::ssize_t> batch;
    noise_variances noise;
};

Measured
measured_by(const core::Estimator& estimator, const py::object& given, const float_array& noise_var)
{
    Measured in;
    in.y = array_of(given);
    const auto m = in.rows = static_cast<py::ssize_t>(estimator.input_size());
    const py::array& y = in.y;
    if (y.ndim() < 1 || y.shape(y.ndim() - 1) != m)
        throw core::Error("y's last axis has " +
                          (y.ndim() ? std::to_string(y.shape(y.ndim() - 1)) : std::string("no")) +
                          " elements, a measurement of this scheme has " + std::to_string(m));
    const auto& scheme = estimator.scheme().info();
    in.real = !scheme.complex_domain;
    if (in.real && y.dtype().kind() == 'c')
        throw core::Error("y is complex, but scheme '" + scheme.spec +
                          "' is made for real data: give real numbers, for example y.real");
    const py::ssize_t items = in.items = m ? y.size() / m : 0;
    in.batch.assign(y.shape(), y.shape() + y.ndim() - 1);

    in.noise = noise_from(noise_var, items, m);
    return in;
}

// With what the domain has in memory: f(numbers of y, an array of that shape for the results).
template <typename F>
py::array with_numbers(const Measured& in, const std::vector<py::ssize_t>& shape, F f)
{
    if (in.real) {
        py::array_t<float> out(shape);
        f(py::cast<float_array>(in.y), out);
        return std::move(out);
    }
    py::array_t<core::cfloat> out(shape);
    f(py::cast<complex_array>(in.y), out);
    return std::move(out);
}

// The content of latents [*batch, N].
py::array decoded(const core::Estimator& estimator,
                  const py::array& latent,
                  const std::vector<py::ssize_t>& batch,
                  std::vector<core::ItemInfo>& info)
{
    const auto& shape = estimator.scheme().info().content;
    auto of_content = batch;
    of_content.insert(of_content.end(), shape.begin(), shape.end());
    py::array_t<float> content(of_content);
    float* to = content.mutable_data();
    const auto* from = static_cast<const float*>(latent.data());
    py::gil_scoped_release release;
    estimator.decode(from, info.size(), to, info.data());
    return std::move(content);
}

} // namespace

py::tuple run_estimator(core::Estimator& estimator,
                        const py::object& given,
                        const float_array& noise_var,
                        std::uint64_t first,
                        const py::object& condition)
{
    const Measured in = measured_by(estimator, given, noise_var);
    const auto told = row_conditions(estimator, condition, in.items);
    auto shape = in.batch;
    shape.push_back(static_cast<py::ssize_t>(estimator.output_size()));
    py::array_t<float> variance(shape);
    std::vector<core::ItemInfo> info(in.items);
    const interruptible watch;
    const py::array mean = with_numbers(in, shape, [&](const auto& y, auto& out) {
        auto* mean_data = out.mutable_data();
        float* variance_data = variance.mutable_data();
        const auto* y_data = y.data();
        py::gil_scoped_release release;
        estimator.run(y_data,
                      in.items,
                      in.noise.values.data(),
                      in.noise.stride,
                      first,
                      mean_data,
                      variance_data,
                      info.data(),
                      watch.limit());
    });
    watch.raise();
    if (!estimator.content_size())
        return py::make_tuple(mean, variance, info_arrays(info, in.batch));
    const py::array content = decoded(estimator, mean, in.batch, info);
    py::dict out = info_arrays(info, in.batch);
    out["latent"] = mean;
    return py::make_tuple(content, variance, out);
}

py::tuple draw_estimator(core::Estimator& estimator,
                         const py::object& given,
                         const float_array& noise_var,
                         std::uint64_t first,
                         py::ssize_t draws,
                         const py::object& condition)
{
    const Measured in = measured_by(estimator, given, noise_var);
    check_draw_count(estimator, draws, std::size_t(in.items));
    estimator.check_draws(); // before memory is taken
    const interruptible watch;
    const std::size_t k = draws, n = estimator.output_size();
    auto all = conditions_from(condition);
    auto batch = in.batch;
    batch.insert(batch.begin(), draws);
    auto shape = batch;
    shape.push_back(static_cast<py::ssize_t>(n));
    std::vector<core::ItemInfo> info(k * in.items), of_item(k);
    py::array_t<float> variance(std::vector<py::ssize_t>(shape.begin() + 1, shape.end()));
    const py::array result = with_numbers(in, shape, [&](const auto& y, auto& out) {
        using number = std::decay_t<decltype(*y.data())>;
        auto* to = out.mutable_data();
        const auto* from = y.data();
        float* spread = variance.mutable_data();
        py::gil_scoped_release release;
        std::vector<number> drawn(k * n);
        for (py::ssize_t b = 0; b < in.items && !watch.stopped(); b++) {
            for (const auto& [name, values] : all) {
                const std::size_t count = count_of(estimator.scheme(), name);
                const bool rows = in_rows(values.size(), count, in.items);
                estimator.set_condition(
                    name, values.data() + (rows ? b * count : 0), rows ? count : values.size());
            }
            estimator.draw(from + b * in.rows,
                           k,
                           in.noise.values.data() + b * in.noise.stride,
                           in.noise.stride,
                           first + b * k,
                           drawn.data(),
                           of_item.data(),
                           watch.limit());
            for (std::size_t j = 0; j < k; j++) {
                std::copy_n(&drawn[j * n], n, to + (j * in.items + b) * n);
                info[j * in.items + b] = of_item[j];
            }
            for (std::size_t i = 0; i < n; i++) {
                number mean = 0;
                double square = 0;
                for (std::size_t j = 0; j < k; j++)
                    mean += drawn[j * n + i] / float(k);
                for (std::size_t j = 0; j < k; j++)
                    square += std::norm(drawn[j * n + i] - mean);
                // Equal answers of bypassed draws are no certainty: nothing was known of the element.
                const bool known = k > 1 && (square > 0 || !of_item[0].bypassed);
                spread[b * n + i] =
                    known ? float(square / double(k - 1)) : std::numeric_limits<float>::quiet_NaN();
            }
        }
    });
    watch.raise();
    if (!estimator.content_size())
        return py::make_tuple(result, variance, info_arrays(info, batch));
    const py::array content = decoded(estimator, result, batch, info);
    py::dict told = info_arrays(info, batch);
    told["latent"] = result;
    return py::make_tuple(content, variance, told);
}

} // namespace diffsem
} // namespace gr
