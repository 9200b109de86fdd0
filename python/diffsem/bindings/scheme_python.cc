/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "run_estimator.h"

#include <gnuradio/diffsem/scheme.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

using namespace gr::diffsem;

static py::list condition_list(const core::SchemeParts& parts)
{
    py::list all;
    for (const auto& input :
         parts.prior ? parts.prior->traits().conditions : std::vector<core::SideInput>()) {
        py::dict d;
        d["name"] = input.name;
        d["type"] = input.integer ? "int64" : "float32";
        d["shape"] = py::tuple(py::cast(input.shape));
        d["null"] = input.null.empty() ? py::object(py::none())
                    : input.count == 1 ? py::cast(input.null[0])
                    : input.previous   ? py::cast(input.null[0])
                                       : py::cast(input.null);
        d["least"] = std::isfinite(input.least) ? py::cast(input.least) : py::object(py::none());
        d["most"] = std::isfinite(input.most) ? py::cast(input.most) : py::object(py::none());
        d["from"] = input.previous ? py::cast("previous") : py::object(py::none());
        const auto said = parts.conditions.find(input.name);
        d["value"] = said == parts.conditions.end() ? py::object(py::none())
                     : said->second.size() == 1     ? py::cast(said->second[0])
                                                    : py::cast(said->second);
        all.append(d);
    }
    return all;
}

// As the estimator does: an item that is not finite, or that nothing finite becomes of, is 0; and it is said.
static void
refuse_what_is_not_finite(const py::array& from, py::array& to, std::size_t items, bool forth)
{
    std::size_t bad = 0, first = 0;
    const std::size_t in = items ? std::size_t(from.nbytes()) / sizeof(float) / items : 0,
                      out = items ? std::size_t(to.nbytes()) / sizeof(float) / items : 0;
    const auto* x = static_cast<const float*>(from.data());
    auto* y = static_cast<float*>(to.mutable_data());
    const auto finite = [](float v) { return std::isfinite(v); };
    for (std::size_t b = 0; b < items; b++) {
        if (std::all_of(x + b * in, x + (b + 1) * in, finite) &&
            std::all_of(y + b * out, y + (b + 1) * out, finite))
            continue;
        std::fill_n(y + b * out, out, 0.0f);
        first = bad++ ? first : b;
    }
    if (!bad)
        return;
    const std::string said = std::to_string(bad) + " of " + std::to_string(items) +
                             " items, item " + std::to_string(first) + " first, have no finite " +
                             (forth ? "latent" : "content") + " and are 0: see what was given";
    if (PyErr_WarnEx(PyExc_RuntimeWarning, said.c_str(), 2) != 0)
        throw py::error_already_set();
}

// Content [..., *shape] to latents [..., N] (forth), or back.
static py::array through_codec(const core::Scheme& loaded, const py::object& given, bool forth)
{
    const auto& info = loaded.info();
    const auto& codec = loaded.parts().codec;
    if (!codec)
        throw core::Error("scheme '" + info.spec +
                          "' has no codec: its signal is the content itself");
    const bool complex = info.complex_domain;
    std::vector<std::int64_t> latent = {std::int64_t(core::element_count(info.shape))};
    const std::vector<std::int64_t>&from = forth ? info.content : latent,
          &to = forth ? latent : info.content;
    const py::array any = array_of(given);
    const bool complex_in = complex && !forth;
    if (!complex_in && any.dtype().kind() == 'c')
        throw core::Error(std::string(forth ? "content is" : "the latent is") +
                          " complex, and real numbers are asked for: give x.real");
    const py::array x = complex_in ? py::array(py::cast<complex_array>(any))
                                   : py::array(py::cast<float_array>(any));
    const auto axes = py::ssize_t(from.size());
    bool fits = x.ndim() >= axes;
    for (py::ssize_t i = 0; fits && i < axes; i++)
        fits = x.shape(x.ndim() - axes + i) == from[std::size_t(i)];
    if (!fits)
        throw core::Error("an array of shape " + std::string(py::repr(any.attr("shape"))) +
                          " was given: its last axes must be " +
                          std::string(py::repr(py::tuple(py::cast(from)))) + ", " +
                          (forth ? "the content" : "the latent") + " of scheme '" + info.spec +
                          "'");
    std::vector<py::ssize_t> shape(x.shape(), x.shape() + x.ndim() - axes);
    py::ssize_t items = 1;
    for (const auto n : shape)
        items *= n;
    shape.insert(shape.end(), to.begin(), to.end());
    py::array out = complex && forth ? py::array(py::array_t<core::cfloat>(shape))
                                     : py::array(py::array_t<float>(shape));
    const auto* in_data = static_cast<const float*>(x.data());
    auto* out_data = static_cast<float*>(out.mutable_data());
    {
        py::gil_scoped_release release;
        if (forth)
            codec->encode(in_data, std::size_t(items), out_data);
        else
            codec->decode(in_data, std::size_t(items), out_data);
    }
    refuse_what_is_not_finite(x, out, std::size_t(items), forth);
    return out;
}

static py::dict info_dict(const core::Scheme& loaded)
{
    const core::SchemeInfo& i = loaded.info();
    py::dict d;
    d["condition"] = condition_list(loaded.parts());
    d["guidance_scale"] = loaded.parts().guidance_scale;
    d["spec"] = i.spec;
    d["package"] = i.package;
    d["member"] = i.member;
    d["title"] = i.title;
    d["prior"] = i.prior;
    d["operator"] = i.op;
    d["start"] = i.start;
    d["guidance"] = i.guidance; // empty: the default for prior and operator
    d["sampler"] = i.sampler;
    d["plan"] = i.plan;
    d["shape"] = py::tuple(py::cast(i.shape));
    d["content"] = i.content.empty() ? py::object(py::none()) : py::tuple(py::cast(i.content));
    d["domain"] = i.complex_domain ? "complex" : "real";
    d["gain"] = i.measured_gain ? "measured" : "unit";
    d["has_variance"] = i.has_variance;
    d["guard"] = i.guard;
    d["fallback"] = i.fallback;
    d["fewest_observed"] = i.fewest_observed;
    d["steps"] = i.steps;
    d["levels"] = i.levels;
    d["device"] = i.device;
    d["max_model_mb"] = i.max_model_mb;
    d["evaluations"] = i.evaluations;
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
            [](scheme& self) { return info_dict(*self.get()); },
            "What the scheme says of itself, as a dict; reads the package if need be.")
        .def(
            "estimate",
            [](scheme& self,
               const py::object& measured,
               const float_array& noise_var,
               const py::object& observed,
               int steps,
               std::uint64_t seed,
               const py::object& matrix,
               float eta,
               std::uint64_t first,
               std::uint64_t stream,
               std::size_t max_batch,
               float noise_freedom,
               const py::object& condition,
               py::ssize_t draws) {
                auto loaded = self.get();
                const py::array y = array_of(measured);
                if (loaded->parts().joint)
                    return estimate_jointly(loaded,
                                            py::cast<complex_array>(y),
                                            noise_var,
                                            observed,
                                            matrix,
                                            steps,
                                            eta,
                                            seed,
                                            stream,
                                            first,
                                            max_batch,
                                            noise_freedom,
                                            condition,
                                            draws);
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
                options.conditions =
                    constant_conditions(*loaded, condition, size ? y.size() / size : 0);
                core::Estimator estimator(loaded, options);
                if (draws)
                    return draw_estimator(estimator, y, noise_var, first, draws, condition);
                return run_estimator(estimator, y, noise_var, first, condition);
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
            py::arg("condition") = py::none(),
            py::arg("draws") = 0,
            "Posterior estimate of arrays, without a flowgraph: (mean, variance, info).\n\n"
            "y: complex [..., M], of a real scheme real; so is the mean. noise_var: E|n|^2 per "
            "(complex) element\nof y; one value, one for each\n"
            "item, or one for each element. observed: boolean mask of N or list of indices; None: "
            "all.\n"
            "matrix: M x N for the operator 'matrix'. steps 0 and eta < 0: the scheme's own.\n"
            "noise_freedom: elements of noise that noise_var was measured on; 0: it is exact.\n"
            "condition: {name: values} of a conditional prior, for all items or a row for each.\n"
            "first: index of the first item, from which the random numbers are counted.\n"
            "mean: complex64 [..., N]; variance: float32 [..., N], E|x - mean|^2;\n"
            "info: dict of arrays noise_var, gain, steps, bypassed, guarded, few_observed, "
            "residual and list "
            "reason.\n"
            "A scheme with a codec infers its latent: mean is the decoded content [..., *shape], "
            "info['latent'] what\nwas inferred, and variance that of the latent.\n"
            "Of a scheme of several unknowns y may be [..., *shape] too, mean and variance are "
            "dicts of "
            "arrays\n"
            "[..., *shape of the unknown] by its name, steps are rounds, and condition holds for "
            "all items;\nobserved, matrix, noise_freedom and draws are refused.\n"
            "draws: K above 0 gives K draws from the posterior of each item in the mean's place, "
            "[K, ..., N],\ntheir own variance [..., N] and info of [K, ...]; "
            "sampler=posterior_draw draws.")
        .def(
            "encode",
            [](scheme& self, const py::object& content) {
                return through_codec(*self.get(), content, true);
            },
            py::arg("content"),
            "The latent of content [..., *shape], real: [..., N], what is sent. Of a scheme with a "
            "codec.")
        .def(
            "decode",
            [](scheme& self, const py::object& latent) {
                return through_codec(*self.get(), latent, false);
            },
            py::arg("latent"),
            "The content of latents [..., N]. Of a scheme with a codec.")
        .def("__repr__", [](const scheme& self) {
            return "diffsem.scheme(" + std::string(py::repr(py::str(self.spec()))) + ")";
        });
    py::implicitly_convertible<py::str, scheme>();
}
