/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/base/error.h>

#include "infer/guidance_space.h"

#include <cmath>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {
constexpr int most_steps = 64; // of a guidance
}

const std::vector<const GuidanceEntry*>& guidances()
{
    static const std::vector<const GuidanceEntry*> table = {&combined_guidance(),
                                                            &joint_guidance(),
                                                            &pigdm_guidance(),
                                                            &proximal_guidance(),
                                                            &dps_guidance(),
                                                            &ep_guidance(),
                                                            &plug_and_play_guidance()};
    return table;
}

double GuidanceParts::key(const char* name, double fallback) const
{
    const auto found = keys.find(name);
    return found == keys.end() ? fallback : found->second;
}

void prepare(GuidanceSpace& space,
             const GuidanceParts& parts,
             std::size_t max_batch,
             std::initializer_list<Tensor*> states)
{
    space.inner = parts.prior->make_workspace(max_batch);
    for (Tensor* t : states)
        *t = Tensor(parts.prior->traits().domain, shape_of(parts), max_batch);
    space.scratch.resize(parts.op->scratch_size());
}

int guidance_steps(const GuidanceParts& parts, int fallback)
{
    const double steps = parts.key("guidance_steps", fallback);
    if (!(steps >= 1 && steps <= most_steps) || steps != std::floor(steps))
        throw Error("guidance_steps = " + std::to_string(steps) +
                    " must be a whole number in 1 .. " + std::to_string(most_steps));
    return int(steps);
}

const GuidanceEntry& default_guidance(const Prior& prior, const Operator& op)
{
    for (const GuidanceEntry* entry : guidances())
        if (entry->misfit(prior, op).empty())
            return *entry;
    throw Error(std::string("no guidance takes the operator '") + op.type() +
                "', which has neither a proximal step nor a derivative: give it one of them");
}

std::string fitting_guidances(const Prior& prior, const Operator& op, bool drawing)
{
    std::string names;
    for (const GuidanceEntry* entry : guidances())
        if (entry->misfit(prior, op).empty() && (entry->draws || !drawing))
            names += (names.empty() ? "" : ", ") + std::string(entry->name);
    return names;
}

std::unique_ptr<Guidance> make_guidance(const GuidanceEntry* chosen, const GuidanceParts& parts)
{
    const Prior& prior = *parts.prior;
    const Operator& op = *parts.op;
    if (!chosen)
        return default_guidance(prior, op).make(parts);
    const std::string misfit = chosen->misfit(prior, op);
    if (!misfit.empty()) {
        const std::string fitting = fitting_guidances(prior, op);
        throw Error(std::string("guidance = ") + chosen->name + ": " + misfit +
                    "; for the prior '" + prior.type() + "' and the operator '" + op.type() +
                    "' take " + (fitting.empty() ? "another operator" : fitting));
    }
    return chosen->make(parts);
}

} // namespace core
} // namespace diffsem
} // namespace gr
