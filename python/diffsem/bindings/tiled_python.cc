/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "run_estimator.h"

#include <gnuradio/diffsem/core/infer/tiled_estimator.h>
#include <gnuradio/diffsem/scheme.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {

namespace {

py::dict grid_info(const core::GridInfo& info)
{
    py::dict out;
    out["tiles"] = info.tiles;
    out["bypassed"] = info.bypassed;
    out["unmeasured"] = info.unmeasured;
    out["guarded"] = info.guarded;
    out["few_observed"] = info.few_observed;
    out["reason"] = info.reason;
    out["evaluations"] = info.evaluations;
    out["seconds"] = info.seconds;
    return out;
}

py::tuple
run_tiled(core::TiledEstimator& self, const complex_array& y, const float_array& noise_var)
{
    const auto size = static_cast<py::ssize_t>(self.size());
    const auto items = size ? y.size() / size : 0;
    if (!size || items * size != y.size())
        throw core::Error("y has " + std::to_string(y.size()) + " elements, a grid " +
                          std::to_string(size) + ": give whole grids");
    const std::vector<py::ssize_t> shape(y.shape(), y.shape() + y.ndim());
    complex_array mean(shape);
    float_array variance(shape);
    const auto noise = noise_from(float_array(noise_var).reshape({-1}), items, size);
    std::vector<core::GridInfo> done(static_cast<std::size_t>(items));
    const interruptible watch;
    {
        const auto* from = y.data();
        auto* to = mean.mutable_data();
        auto* spread = variance.mutable_data();
        py::gil_scoped_release release;
        self.run(from,
                 done.size(),
                 noise.values.data(),
                 noise.stride,
                 to,
                 spread,
                 done.data(),
                 watch.limit());
    }
    watch.raise();
    py::list info;
    for (const auto& one : done)
        info.append(grid_info(one));
    return py::make_tuple(mean, variance, info);
}

} // namespace

} // namespace diffsem
} // namespace gr

using namespace gr::diffsem;

void bind_tiled(py::module& parent)
{
    py::module m = parent.attr("core");
    py::class_<core::TiledEstimator>(
        m,
        "TiledEstimator",
        "A scheme of one size on grids of another: tiles that overlap, their answers joined.\n\n"
        "grid: sizes of one grid, as many as the scheme's shape has. overlap: elements that "
        "neighbours share at\n"
        "least, along each axis; empty: half a tile. ValueError for a scheme whose operator mixes "
        "elements.")
        .def(py::init([](const scheme::sptr& handle,
                         const std::vector<std::size_t>& grid,
                         const std::vector<std::size_t>& overlap,
                         int steps,
                         std::uint64_t seed,
                         std::size_t max_batch,
                         float noise_freedom) {
                 core::EstimatorOptions options;
                 options.steps = steps;
                 options.seed = seed;
                 options.max_batch = max_batch;
                 options.noise_freedom = noise_freedom;
                 return std::make_unique<core::TiledEstimator>(
                     handle->get(), grid, overlap, options);
             }),
             py::arg("scheme"),
             py::arg("grid"),
             py::arg("overlap") = std::vector<std::size_t>(),
             py::arg("steps") = 0,
             py::arg("seed") = 0,
             py::arg("max_batch") = 16,
             py::arg("noise_freedom") = 0.0f)
        .def("run",
             &run_tiled,
             py::arg("y"),
             py::arg("noise_var"),
             "(mean, variance, info) of y [..., *grid], complex. noise_var: E|n|^2; one, one for "
             "each grid, or one\n"
             "for each element, infinite where nothing is measured. mean, variance: as y; where no "
             "tile measured\n"
             "anything 0 and NaN. info: a dict for each grid: tiles, bypassed, of these "
             "unmeasured (nothing was),\n"
             "guarded, few_observed, reason, evaluations, seconds.")
        .def_property_readonly("tiles", &core::TiledEstimator::tiles, "Of one grid.");
}
