/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The five choices of a scheme, resolved.
 */
#pragma once

#include <gnuradio/diffsem/core/infer/plan.h>
#include <gnuradio/diffsem/core/infer/sampler.h>
#include <gnuradio/diffsem/core/priors/prior.h>
#include <gnuradio/diffsem/core/scheme/scheme.h>

#include "priors/photo_net.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Where inference begins. The table is in registry.cc.
struct StartEntry {
    const char* name;
    //! The state is the measurement: it is used up, and the sampler runs with the prior alone.
    bool consumes_measurement;
    bool needs_sigma;
    bool adds_noise;
};
const std::vector<StartEntry>& starts();
const StartEntry& find_start(const std::string& name);

class SchemeImpl
{
public:
    SchemeInfo info;
    std::shared_ptr<const Prior>
        prior;                  //!< null for the prior `none`: the measurement is the answer
    std::vector<cfloat> matrix; //!< of the operator `matrix`, row major; may be empty
    std::size_t matrix_rows = 0;
    const StartEntry* start = nullptr;
    float start_sigma = 0; //!< of `level` and `renoise`
    int noise_updates = 0; //!< of `matched`
    const SamplerEntry* sampler = nullptr;
    float eta = 0;
    Plan plan{PlanParameters()};
    std::uint64_t seed = 0;
    // Of the domain `image`, run by PhotoEstimator; no net: `linear`.
    std::shared_ptr<const PhotoNet> photo_net;
    PhotoPlan photo_plan;
};

} // namespace core
} // namespace diffsem
} // namespace gr
