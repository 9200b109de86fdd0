/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Inference of photographs in the C++ core.
 */
#include "bindings.h"

#include <gnuradio/diffsem/core/picture/picture_receiver.h>
#include <gnuradio/diffsem/core/realtime/realtime.h>
#include <gnuradio/diffsem/scheme.h>

#include <vector>

using namespace gr::diffsem;
using planes = py::array_t<float, py::array::c_style | py::array::forcecast>;

static py::tuple estimate_picture(core::Estimator& estimator,
                                  const planes& y,
                                  const planes& gains,
                                  const planes& noise_var,
                                  const planes& spectrum,
                                  bool clip,
                                  bool deviation)
{
    for (const auto* a : {&y, &gains, &noise_var, &spectrum})
        if (a->ndim() != 3 || a->shape(0) != 3 || a->shape(1) != y.shape(1) ||
            a->shape(2) != y.shape(2))
            throw core::Error("y, gains, noise_var and spectrum must all be [3, H, W]");
    const auto h = y.shape(1), w = y.shape(2);
    planes variance({py::ssize_t(3), h, w});
    std::vector<float> image(std::size_t(y.size()));
    py::array_t<float> spread({h, w});
    core::PictureInfo info;
    {
        float *left = variance.mutable_data(), *each = deviation ? spread.mutable_data() : nullptr;
        py::gil_scoped_release release;
        info = core::estimate_picture(estimator,
                                      std::size_t(h),
                                      std::size_t(w),
                                      y.data(),
                                      gains.data(),
                                      noise_var.data(),
                                      spectrum.data(),
                                      image.data(),
                                      left,
                                      each,
                                      clip);
    }
    py::array_t<float> pixels({h, w, py::ssize_t(3)});
    for (py::ssize_t i = 0; i < h * w; i++)
        for (py::ssize_t c = 0; c < 3; c++)
            pixels.mutable_data()[3 * i + c] = image[std::size_t(c * h * w + i)];
    py::dict said;
    said["evaluations"] = info.evaluations;
    said["seconds"] = info.seconds;
    said["net_seconds"] = info.net_seconds;
    said["linear"] = info.linear;
    said["reason"] = info.reason;
    if (deviation)
        said["deviation"] = spread;
    return py::make_tuple(pixels, variance, said);
}

void bind_photo(py::module& parent)
{
    auto m = parent.attr("core").cast<py::module>();
    m.def(
        "picture_estimator",
        [](const scheme::sptr& handle, int steps) {
            return core::make_picture_estimator(handle->get(), steps);
        },
        py::arg("scheme"),
        py::arg("steps") = 0,
        "An Estimator of photographs of any size; it keeps the buffers of the last size.\n"
        "scheme: `linear`, `photo_mmse`, `photo_posterior`, or another package of photographs.\n"
        "steps: evaluations of the network, 0: the scheme's own.");
    m.def("estimate_picture",
          &estimate_picture,
          py::arg("estimator"),
          py::arg("y"),
          py::arg("gains"),
          py::arg("noise_var"),
          py::arg("spectrum"),
          py::arg("clip") = true,
          py::arg("deviation") = false,
          "All [3, H, W], as gr_diffsem.codec.picture_codec.measurement gives them, and "
          "Plan.variances.\n"
          "Returns (image float32 [H, W, 3] in 0..1, without `clip` about that, variances of the "
          "coefficients' errors "
          "[3, H, W], a dict: evaluations, seconds, net_seconds (of those, with the network), "
          "linear (it "
          "failed), reason, and where it was asked for deviation [H, W] of a pixel's error).");
    py::class_<core::CostModel>(
        m, "CostModel", "What an evaluation takes: the 90 % quantile of the last runs.")
        .def(py::init<>())
        .def("add",
             &core::CostModel::add,
             py::arg("seconds"),
             py::arg("evaluations"),
             py::arg("items") = 1.0,
             "So many items took so many evaluations each, together.")
        .def("seconds",
             &core::CostModel::seconds,
             py::arg("items") = 1.0,
             "Of one evaluation of so many items; 0: nothing known yet.")
        .def("clear", &core::CostModel::clear);
    m.def(
        "scheme_info",
        [](const scheme::sptr& handle) {
            const auto loaded = handle->get();
            py::dict d;
            d["image"] = loaded->info().image;
            d["content_hash"] = loaded->info().content_hash;
            d["package"] = loaded->info().package;
            d["steps"] = loaded->info().steps;
            d["manifest"] = loaded->info().manifest_json;
            d["member"] = loaded->info().member;
            return d;
        },
        py::arg("scheme"),
        "image (whether it is of photographs), content_hash, package, steps, manifest (JSON) and "
        "member of a scheme.");
}
