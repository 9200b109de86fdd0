/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Run state that all guidances have. Private.
 */
#pragma once

#include <gnuradio/diffsem/core/infer/guidance.h>

#include <complex>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

struct GuidanceSpace : public Workspace {
    std::unique_ptr<Workspace> inner; // of the prior, or of its joint denoiser
    Tensor x;                         // what the prior is asked, where that is not x itself
    Sigma sigma;                      // of it; of a proximal step: of the prior's answer
    Sigma inflated;                   // the measurement's noise
    std::vector<std::complex<double>> scratch; // of the operator
};

//! Shape of one item of x: the prior's, or of a prior that takes any length the operator's.
inline std::vector<std::int64_t> shape_of(const GuidanceParts& parts)
{
    const auto& shape = parts.prior->traits().shape;
    return shape.empty() ? std::vector<std::int64_t>{std::int64_t(parts.op->cols())} : shape;
}

//! What a run needs of prior and operator, and `states` of the shape of x.
void prepare(GuidanceSpace& space,
             const GuidanceParts& parts,
             std::size_t max_batch,
             std::initializer_list<Tensor*> states);

//! The key `guidance_steps`, a whole number in 1 .. 64; `fallback` where it is not given.
int guidance_steps(const GuidanceParts& parts, int fallback);

//! Half-quadratic splitting into `out`, by a prior that was asked at (x, sigma); what `proximal` is, and what `combined`
//! falls back on.
void proximal_step(const GuidanceParts& parts,
                   const Tensor& x,
                   const Sigma& sigma,
                   GuidanceSpace& space,
                   Estimate& out);

const GuidanceEntry& combined_guidance();
const GuidanceEntry& joint_guidance();
const GuidanceEntry& proximal_guidance();
const GuidanceEntry& pigdm_guidance();
const GuidanceEntry& dps_guidance();
const GuidanceEntry& ep_guidance();
const GuidanceEntry& plug_and_play_guidance();

} // namespace core
} // namespace diffsem
} // namespace gr
