/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A small package and runs of its members, for tests of the estimator.
 */
#pragma once

#include "fixtures.h"

#include <gnuradio/diffsem/core/infer/estimator.h>
#include <gnuradio/diffsem/core/scheme/load_scheme.h>

#include <memory>
#include <string>
#include <vector>

namespace fixtures {

inline const char* more_members =
    ", \"matrix\": {\"prior\": {\"type\": \"gmm\", \"weights\": \"weights.npy\", \"means\": "
    "\"means.npy\", "
    "\"covariances\": \"covariances.npy\"}, \"operator\": \"matrix\", \"start\": \"noise\"}";

struct Result {
    std::vector<cfloat> mean;
    std::vector<float> variance;
    std::vector<ItemInfo> info;
};

inline Result run(Estimator& e,
                  const std::vector<cfloat>& y,
                  const std::vector<float>& noise,
                  bool per_element = false,
                  std::uint64_t first = 0)
{
    const std::size_t items = y.size() / e.input_size();
    Result r;
    r.mean.assign(items * e.output_size(), cfloat(-99, -99));
    r.variance.assign(items * e.output_size(), -99);
    r.info.resize(items);
    std::vector<float> nv = noise;
    if (nv.size() == 1 && !per_element)
        nv.assign(items, noise[0]);
    e.run(y.data(),
          items,
          nv.data(),
          per_element ? e.input_size() : 1,
          first,
          r.mean.data(),
          r.variance.data(),
          r.info.data());
    return r;
}

inline std::vector<cfloat>
measurements(const Mixture& m, std::size_t items, double sigma, unsigned seed, double gain = 1)
{
    Random r(seed);
    std::vector<cfloat> y;
    for (std::size_t b = 0; b < items; b++) {
        const Vector v = gain * (m.draw(r) + sigma * r.cvector(m.n()));
        for (const auto& e : v)
            y.push_back(cfloat(e));
    }
    return y;
}

struct Toy {
    Folder folder;
    Mixture model = mixture();
    std::string unit, measured;
    Toy()
    {
        const std::string members = std::string(gaussian_member) + "," + gmm_member + more_members;
        unit = write_package(folder, "unit", model, members);
        measured = write_package(folder, "measured", model, members, "measured");
    }
    std::unique_ptr<Estimator> make(const std::string& spec, EstimatorOptions o = {}) const
    {
        return std::make_unique<Estimator>(load_scheme(spec), o);
    }
};

} // namespace fixtures
