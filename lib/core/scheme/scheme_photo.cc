/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scheme/scheme_parts.h"

namespace gr {
namespace diffsem {
namespace core {

float read_realism(const Fields& fields)
{
    const double realism = fields.number("realism", 0);
    if (!(realism >= 0 && realism <= 1))
        fields.fail("realism", "must lie in 0 .. 1: 0 is the mean, 1 a draw");
    return float(realism);
}

void resolve_photo(const MemberText& text, SchemeImpl& s)
{
    const auto& [package, signal, member, signal_where, where, options] = text;
    const Fields sf(signal, signal_where, {"domain", "shape", "axes"});
    const Json& shape = signal["shape"];
    if (!shape.is_array() || shape.size() != 3 || !shape.items()[0].is_number() ||
        shape.items()[0].as_double() != 3 || !shape.items()[1].is_null() ||
        !shape.items()[2].is_null())
        sf.fail("shape", "photographs have [3, null, null]");
    const Fields prior(member["prior"], where + ".prior", {"type", "file"});
    const Json given = typed(member["operator"], "transform");
    const Fields op(given, where + ".operator", {"type"});
    const Fields plan(
        member["plan"], where + ".plan", {"type", "steps", "inflation", "final", "realism"});
    if (prior.text("type") != "onnx")
        prior.fail("type", "photographs need 'onnx'; 'linear' is built in");
    if (op.text("type") != "transform")
        op.fail("type", "photographs are measured by 'transform'");
    if (plan.text("type") != "proximal")
        plan.fail("type", "photographs have the plan 'proximal'");
    PhotoPlan& p = s.photo_plan;
    p.steps = plan.integer("steps", 0);
    p.inflation = float(plan.number("inflation", 1));
    if (p.steps < 1 || p.steps > 1000)
        plan.fail("steps", "must lie in 1 .. 1000");
    if (!(p.inflation >= 1 && p.inflation <= 1000))
        plan.fail("inflation", "must lie in 1 .. 1000");
    if (plan.has("final") && !member["plan"]["final"].is_bool())
        plan.fail("final", "must be true or false");
    p.final = !plan.has("final") || member["plan"]["final"].as_bool();
    if (!p.final && p.steps != 1)
        plan.fail("steps", "without 'final' there is one evaluation");
    p.realism = read_realism(plan);
    if (p.realism > 0 && !p.final)
        plan.fail("realism",
                  "must be 0 for a regression, which has no posterior to draw from: take "
                  "photo_posterior or linear");
    SchemeInfo& info = s.info;
    info.image = true;
    info.complex_domain = false;
    info.shape = {3, -1, -1};
    info.prior = "onnx";
    info.op = "transform";
    info.start = "matched";
    info.sampler = p.final ? "posterior_mean" : "one_step";
    info.plan = "proximal";
    info.steps = p.steps;
    s.photo_net = std::make_shared<PhotoNet>(
        package_file(package, prior.text("file"), where + ".prior.file"), options);
}

} // namespace core
} // namespace diffsem
} // namespace gr
