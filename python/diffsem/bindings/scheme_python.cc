/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "run_estimator.h"

#include <gnuradio/diffsem/core/link/noise_estimate.h>
#include <gnuradio/diffsem/scheme.h>

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
        const auto a = py::cast<complex_array>(matrix);
        if (a.ndim() != 2)
            throw core::Error("matrix has " + std::to_string(a.ndim()) +
                              " dimensions: give M x N for y = A x + n");
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
    py::array_t<bool> bypassed(batch), guarded(batch);
    py::list reason;
    for (std::size_t i = 0; i < info.size(); i++) {
        used.mutable_data()[i] = info[i].noise_var;
        gain.mutable_data()[i] = info[i].gain;
        residual.mutable_data()[i] = info[i].residual;
        steps.mutable_data()[i] = info[i].steps;
        bypassed.mutable_data()[i] = info[i].bypassed;
        guarded.mutable_data()[i] = info[i].guarded;
        reason.append(py::str(info[i].reason));
    }
    py::dict out;
    out["noise_var"] = used;
    out["gain"] = gain;
    out["steps"] = steps;
    out["bypassed"] = bypassed;
    out["guarded"] = guarded;
    out["reason"] = reason;
    out["residual"] = residual;
    return out;
}

py::tuple run_estimator(core::Estimator& estimator,
                        const complex_array& y,
                        const float_array& noise_var,
                        std::uint64_t first)
{
    const auto m = static_cast<py::ssize_t>(estimator.input_size());
    const auto n = static_cast<py::ssize_t>(estimator.output_size());
    if (y.ndim() < 1 || y.shape(y.ndim() - 1) != m)
        throw core::Error("y's last axis has " +
                          (y.ndim() ? std::to_string(y.shape(y.ndim() - 1)) : std::string("no")) +
                          " elements, a measurement of this scheme has " + std::to_string(m));
    const py::ssize_t items = m ? y.size() / m : 0;
    std::vector<py::ssize_t> batch(y.shape(), y.shape() + y.ndim() - 1);
    const noise_variances noise = noise_from(noise_var, items, m);

    auto shape = batch;
    shape.push_back(n);
    py::array_t<core::cfloat> mean(shape);
    py::array_t<float> variance(shape);
    std::vector<core::ItemInfo> info(items);
    {
        core::cfloat* mean_data = mean.mutable_data();
        float* variance_data = variance.mutable_data();
        const core::cfloat* y_data = y.data();
        py::gil_scoped_release release;
        estimator.run(y_data,
                      items,
                      noise.values.data(),
                      noise.stride,
                      first,
                      mean_data,
                      variance_data,
                      info.data());
    }
    return py::make_tuple(mean, variance, info_arrays(info, batch));
}

} // namespace diffsem
} // namespace gr

using namespace gr::diffsem;

static py::dict info_dict(const core::SchemeInfo& i)
{
    py::dict d;
    d["spec"] = i.spec;
    d["package"] = i.package;
    d["member"] = i.member;
    d["title"] = i.title;
    d["prior"] = i.prior;
    d["operator"] = i.op;
    d["start"] = i.start;
    d["sampler"] = i.sampler;
    d["plan"] = i.plan;
    d["shape"] = py::tuple(py::cast(i.shape));
    d["domain"] = i.complex_domain ? "complex" : "real";
    d["gain"] = i.measured_gain ? "measured" : "unit";
    d["has_variance"] = i.has_variance;
    d["guard"] = i.guard;
    d["fallback"] = i.fallback;
    d["steps"] = i.steps;
    py::dict unknowns;
    for (const auto& [name, shape] : i.unknowns)
        unknowns[py::str(name)] = py::tuple(py::cast(shape));
    d["unknowns"] = unknowns;
    d["content_hash"] = i.content_hash;
    d["manifest"] = i.manifest_json;
    return d;
}

void bind_scheme(py::module& m)
{
    py::class_<scheme, std::shared_ptr<scheme>>(
        m,
        "scheme",
        "A choice of prior, operator, start, sampler and plan, by name.\n\n"
        "Making the handle is cheap and never fails; the package is read at the first use and "
        "then\n"
        "shared by every block given the handle. A plain string does in its place.")
        .def(py::init(&scheme::make),
             py::arg("spec"),
             py::arg("models_path") = "",
             py::arg("onnxruntime") = "",
             "spec: NAME[/MEMBER][:key=value,...], a path of an .onnx or of a package, or 'ls'.\n"
             "models_path: colon list of folders searched first.\n"
             "onnxruntime: path of libonnxruntime.so.")
        .def_property_readonly("spec", &scheme::spec)
        .def(
            "load",
            [](const scheme::sptr& self) {
                py::gil_scoped_release release;
                self->get();
                return self;
            },
            "Read the package now; gives the handle back. ValueError if it cannot be had.")
        .def(
            "info",
            [](scheme& self) { return info_dict(self.get()->info()); },
            "What the scheme says of itself, as a dict; reads the package if need be.")
        .def(
            "estimate",
            [](scheme& self,
               const complex_array& y,
               const float_array& noise_var,
               const py::object& observed,
               int steps,
               std::uint64_t seed,
               const py::object& matrix,
               float eta,
               std::uint64_t first,
               std::uint64_t stream,
               std::size_t max_batch,
               float noise_freedom) {
                auto loaded = self.get();
                if (loaded->parts().joint)
                    return estimate_jointly(
                        loaded, y, noise_var, observed, matrix, steps, eta, seed, stream, first);
                const std::size_t size = y.ndim() ? y.shape(y.ndim() - 1) : 0;
                auto options = estimator_options(*loaded,
                                                 size,
                                                 observed,
                                                 matrix,
                                                 steps,
                                                 eta,
                                                 seed,
                                                 stream,
                                                 max_batch,
                                                 noise_freedom);
                options.fallback_now = false; // mostly it is not needed, and this runs once
                core::Estimator estimator(loaded, options);
                return run_estimator(estimator, y, noise_var, first);
            },
            py::arg("y"),
            py::arg("noise_var"),
            py::arg("observed") = py::none(),
            py::arg("steps") = 0,
            py::arg("seed") = 0,
            py::arg("matrix") = py::none(),
            py::arg("eta") = -1.0f,
            py::arg("first") = 0,
            py::arg("stream") = 0,
            py::arg("max_batch") = 64,
            py::arg("noise_freedom") = 0.0f,
            "Posterior estimate of arrays, without a flowgraph: (mean, variance, info).\n\n"
            "y: complex [..., M]. noise_var: E|n|^2 per complex element of y; one value, one for "
            "each\n"
            "item, or one for each element. observed: boolean mask of N or list of indices; None: "
            "all.\n"
            "matrix: M x N for the operator 'matrix'. steps 0 and eta < 0: the scheme's own.\n"
            "noise_freedom: elements of noise that noise_var was measured on; 0: it is exact.\n"
            "first: index of the first item, from which the random numbers are counted.\n"
            "mean: complex64 [..., N]; variance: float32 [..., N], E|x - mean|^2;\n"
            "info: dict of arrays noise_var, gain, steps, bypassed, guarded, residual and list "
            "reason.\n"
            "Of a scheme of several unknowns y may be [..., *shape] too, mean and variance are "
            "dicts of "
            "arrays\n"
            "[..., *shape of the unknown] by its name, and steps are rounds.")
        .def("__repr__", [](const scheme& self) {
            return "diffsem.scheme(" + std::string(py::repr(py::str(self.spec()))) + ")";
        });
    py::implicitly_convertible<py::str, scheme>();
}
