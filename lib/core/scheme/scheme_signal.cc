/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/names.h"
#include "scheme/scheme_parts.h"

#include <gnuradio/diffsem/core/scheme/scheme.h>
#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t max_elements = std::size_t(1) << 24; // of one item
constexpr int max_noise_updates = 20;

std::vector<std::int64_t> read_shape(const Json& signal, const std::string& where)
{
    std::vector<std::int64_t> shape;
    const Json& given = signal["shape"];
    std::size_t count = 1;
    bool fits = given.is_array() && given.size() >= 1 && given.size() <= 6;
    for (std::size_t i = 0; fits && i < given.size(); i++) {
        const Json& n = given.items()[i];
        fits = n.is_number() && n.as_double() == std::floor(n.as_double()) && n.as_double() >= 1 &&
               n.as_double() <= double(max_elements / count);
        if (fits) {
            shape.push_back(n.as_int());
            count *= std::size_t(n.as_int());
        }
    }
    if (!fits)
        throw Error(where +
                    ": 'shape' must be a list of 1 to 6 positive whole numbers, at most 2^24 "
                    "elements in all, found " +
                    given.dump().substr(0, 60));
    return shape;
}

void check_name(const std::string& what,
                const std::string& name,
                const std::vector<std::string>& known,
                const std::string& where)
{
    if (std::find(known.begin(), known.end(), name) == known.end())
        throw Error(where + ": " + what + " '" + name + "' is unknown" + suggestion(name, known));
}

PlanParameters read_plan(const Json& json, const std::string& where)
{
    const std::string type =
        typed(json, "geometric")["type"].is_string() ? json["type"].as_string() : "";
    check_name("plan", type, plan_names(), where);
    const Fields f =
        type == "geometric" ? Fields(json, where, {"type", "steps", "sigma_min", "sigma_max"})
        : type == "karras" ? Fields(json, where, {"type", "steps", "sigma_min", "sigma_max", "rho"})
        : type == "cosine"
            ? Fields(json, where, {"type", "steps", "sigma_min", "sigma_max", "steps_train"})
            : Fields(json,
                     where,
                     {"type",
                      "steps",
                      "sigma_min",
                      "sigma_max",
                      "steps_train",
                      "beta_min",
                      "beta_max"});
    PlanParameters p;
    p.type = type;
    p.steps = f.integer("steps", 0);
    if (f.has("steps") && p.steps < 1)
        f.fail("steps", "must be at least 1");
    p.sigma_min = float(f.number("sigma_min", p.sigma_min));
    p.sigma_max = float(f.number("sigma_max", p.sigma_max));
    p.rho = float(f.number("rho", p.rho));
    p.steps_train = f.integer("steps_train", 0);
    p.beta_min = float(f.number("beta_min", p.beta_min));
    p.beta_max = float(f.number("beta_max", p.beta_max));
    return p;
}

} // namespace

void resolve_signal(const MemberText& text, SchemeImpl& s)
{
    const auto& [package, signal, member, signal_where, where, options] = text;
    SchemeInfo& info = s.info;
    const Fields sf(signal, signal_where, {"domain", "shape", "axes", "gain"});
    const std::string domain = sf.text("domain", "complex"), gain = sf.text("gain", "unit");
    check_name("domain", domain, {"complex", "real", "image"}, signal_where);
    check_name("gain", gain, {"unit", "measured"}, signal_where);
    info.shape = read_shape(signal, signal_where);
    info.complex_domain = domain == "complex";
    info.measured_gain = gain == "measured";

    info.prior = member["prior"]["type"].as_string();
    check_name("prior", info.prior, prior_names(), where);
    const Json op = typed(member["operator"], "identity");
    const Fields of(op, where + ".operator", {"type", "matrix"});
    info.op = of.text("type");
    check_name("operator", info.op, operator_names(), where);
    if (info.op == "transform")
        of.fail("type", "is of photographs: 'signal' needs the domain 'image'");
    const Fields tf(member["start"], where + ".start", {"type", "sigma", "noise_updates"});
    info.start = tf.text("type");
    check_name("start", info.start, start_names(), where);
    s.start = &find_start(info.start);
    const Fields af(member["sampler"], where + ".sampler", {"type", "eta"});
    info.sampler = af.text("type");
    check_name("sampler", info.sampler, sampler_names(), where);
    s.sampler = &find_sampler(info.sampler);
    s.eta = float(af.number("eta", 0.0));
    if (!(s.eta >= 0 && s.eta <= 1))
        af.fail("eta", "must lie in 0 .. 1");
    PlanParameters p = read_plan(member["plan"], where + ".plan");
    info.plan = p.type;
    s.prior = load_prior(package, member, where + ".prior", info, options);
    try {
        s.plan = Plan(p);
    } catch (const Error& e) {
        throw Error(where + ": " + e.what());
    }
    if (s.start->needs_sigma) {
        s.start_sigma = float(tf.number("sigma", 0.0));
        if (!(s.start_sigma > 0 && s.start_sigma < 1e6f))
            throw Error(where + ".start: '" + info.start +
                        "' needs a 'sigma' above 0 (in a string: sigma_max)");
    }
    s.noise_updates = tf.integer("noise_updates", 0);
    if (s.noise_updates < 0 || s.noise_updates > max_noise_updates)
        tf.fail("noise_updates", "must lie in 0 .. " + std::to_string(max_noise_updates));
    if (s.noise_updates && (info.start != "matched" || !s.prior || !s.prior->traits().variance))
        tf.fail("noise_updates",
                "needs the start 'matched' and a prior that gives a variance: leave it out");
    if (op.has("matrix")) {
        const NpyArray a = tensor_file(package,
                                       of,
                                       "matrix",
                                       where + ".operator",
                                       {-1, std::int64_t(element_count(info.shape))},
                                       options);
        s.matrix_rows = std::size_t(a.shape[0]);
        for (std::size_t i = 0; i < a.count(); i++)
            s.matrix.push_back(cfloat(a.value(i)));
    }
    if (info.op == "matrix" && s.start->consumes_measurement && s.prior)
        throw Error(where + ": start '" + info.start +
                    "' takes the measurement as the state, which a "
                    "matrix does not allow: use start 'noise'");
    if (info.op == "matrix" && (!info.complex_domain || !s.prior))
        throw Error(where + ": the operator 'matrix' needs a complex signal and a prior");
    info.has_variance = s.prior && s.prior->traits().variance;
    info.steps = !s.prior ? 0 : info.sampler == "one_step" ? 1 : s.plan.max_steps();
}

} // namespace core
} // namespace diffsem
} // namespace gr
