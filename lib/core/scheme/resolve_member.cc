/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scheme/resolve_member.h"

#include "scheme/graph_codec.h"

#include "priors/classifier_free.h"

#include <gnuradio/diffsem/core/infer/condition.h>

#include <algorithm>
#include <cmath>
#include <string>
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

// Photographs have any size.
std::vector<std::int64_t> read_picture_shape(const Json& signal, const Fields& fields)
{
    const Json& shape = signal["shape"];
    if (!shape.is_array() || shape.size() != 3 || !shape.items()[0].is_number() ||
        shape.items()[0].as_double() != 3 || !shape.items()[1].is_null() ||
        !shape.items()[2].is_null())
        fields.fail("shape", "photographs have [3, null, null]");
    return {3, -1, -1};
}

// An entry of a table, with the place in the message.
template <typename T>
const T& find(const std::vector<const T*>& table,
              const char* noun,
              const std::string& name,
              const std::string& where)
{
    try {
        return find_entry(table, noun, name);
    } catch (const Error& e) {
        throw Error(where + ": " + e.what());
    }
}

std::string type_of(const Json& object, const std::string& where)
{
    if (!object["type"].is_string())
        throw Error(where + ".type must be a string");
    return object["type"].as_string();
}

void check_choice(const char* what,
                  const std::string& value,
                  const std::vector<std::string>& known,
                  const std::string& where)
{
    if (std::find(known.begin(), known.end(), value) == known.end())
        throw Error(where + ": " + what + " '" + value + "' is unknown" + suggestion(value, known));
}

void read_start(const Json& json, const std::string& where, SchemeParts& parts)
{
    parts.start = &find(starts(), "start", type_of(json, where), where);
    std::vector<std::string> known = key_names(*parts.start);
    if (std::find(known.begin(), known.end(), "noise_updates") == known.end())
        known.push_back("noise_updates"); // refused below with a better sentence
    const Fields f(json, where, known);
    if (parts.start->needs_sigma) {
        parts.start_sigma = float(f.number("sigma", 0.0));
        if (!(parts.start_sigma > 0 && parts.start_sigma < 1e6f))
            throw Error(where + ": '" + parts.start->name +
                        "' needs a 'sigma' above 0 (in a string: sigma, or sigma_max)");
    }
    parts.full_power = f.flag("full_power", false);
    parts.noise_updates = f.integer("noise_updates", 0);
    if (parts.noise_updates < 0 || parts.noise_updates > max_noise_updates)
        f.fail("noise_updates", "must lie in 0 .. " + std::to_string(max_noise_updates));
}

void read_sampler(const Json& json, const std::string& where, SchemeParts& parts)
{
    parts.sampler = &find(samplers(), "sampler", type_of(json, where), where);
    std::vector<std::string> known = key_names(*parts.sampler);
    known.push_back("eta"); // manifests of version 1 give it to any sampler
    const Fields f(json, where, known);
    parts.eta = float(f.number("eta", 0.0));
    if (!(parts.eta >= 0 && parts.eta <= 1))
        f.fail("eta", "must lie in 0 .. 1");
    for (const Key& key : parts.sampler->keys)
        if (f.has(key.name))
            parts.sampler_keys[key.name] = f.number(key.name, 0);
    if (parts.sampler->check)
        parts.sampler->check(f);
}

// Of classifier-free guidance.
void read_guidance_scale(const Json& scale, const std::string& where, SchemeParts& parts)
{
    if (scale.is_null())
        return;
    const double s = scale.is_number() ? scale.as_double() : -1;
    if (!(s >= 0 && s <= 100))
        throw Error(
            where + " is " + scale.dump().substr(0, 60) +
            ": give 0 (as if nothing were told) .. 100, 1 for the conditional prior itself");
    parts.guidance_scale = float(s);
    if (!parts.prior && s != 1)
        throw Error(where + " = " + scale.dump() + ": there is no prior to guide, leave it out");
    try {
        if (parts.prior)
            parts.prior = make_classifier_free(parts.prior, parts.guidance_scale);
    } catch (const Error& e) {
        throw Error(where + " = " + scale.dump() + " " + e.what());
    }
}

// {"type": "pigdm", "guidance_steps": 2}, or its name alone; without a type the default for prior and operator.
void read_guidance(const Json& given, const std::string& where, SchemeParts& parts)
{
    if (given.is_null())
        return;
    const Json json = typed(given, "");
    const std::string type = json["type"].is_string() ? json["type"].as_string() : "";
    std::vector<const GuidanceEntry*> candidates = guidances();
    if (!type.empty()) {
        parts.guidance = &find(guidances(), "guidance", type, where);
        candidates = {parts.guidance};
    }
    std::vector<std::string> known = {"type"};
    for (const GuidanceEntry* entry : candidates)
        for (const Key& key : entry->keys)
            if (std::find(known.begin(), known.end(), key.name) == known.end())
                known.push_back(key.name);
    const Fields f(json, where, known);
    for (const std::string& key : known)
        if (key != "type" && f.has(key))
            parts.guidance_keys[key] = f.number(key, 0);
}

// What the five choices ask of each other.
void check_together(const MemberText& text, const SchemeInfo& info, const SchemeParts& parts)
{
    const std::string& where = text.where;
    const Traits traits = parts.prior ? parts.prior->traits() : Traits();
    if (parts.noise_updates && (!parts.start->consumes_measurement || parts.start->needs_sigma ||
                                parts.op->needs_spectrum || !parts.prior || !traits.variance))
        throw Error(
            where +
            ".start.noise_updates: needs the start 'matched' and a prior that gives a variance, "
            "and is not for photographs: leave it out");
    if (!parts.op->measurement_is_state && parts.start->consumes_measurement && parts.prior)
        throw Error(where + ": start '" + info.start +
                    "' takes the measurement as the state, which the operator '" + info.op +
                    "' does not allow: use start 'noise'");
    if (!parts.op->measurement_is_state && !parts.prior)
        throw Error(where + ": the operator '" + info.op + "' needs a prior");
    if ((parts.guidance || !parts.guidance_keys.empty()) &&
        (!parts.prior || (parts.start->consumes_measurement && !parts.op->needs_spectrum)))
        throw Error(where + ".guidance: " +
                    (parts.prior ? "the start '" + info.start +
                                       "' takes the measurement as the state, and nothing is left "
                                       "to guide by: use start 'noise', or leave it out"
                                 : "without a prior there is nothing to guide: leave it out"));
    const PlanParameters& plan = parts.plan.parameters();
    if (parts.plan.measured() != parts.op->needs_spectrum)
        throw Error(where + ".plan.type = " + info.plan + ": the operator '" + info.op + "' " +
                    (parts.plan.measured()
                         ? "leaves no error that could be the next level: take another plan"
                         : "has its levels on coefficients: take the plan 'proximal'"));
    if (parts.op->needs_spectrum && info.measured_gain)
        throw Error(text.signal_where + ".gain = measured: the spectrum that comes with each "
                                        "picture says its scale: take 'unit'");
    if (parts.op->needs_spectrum &&
        (!parts.start->consumes_measurement || parts.start->needs_sigma))
        throw Error(where + ": the operator '" + info.op +
                    "' begins at its linear answer: use start 'matched'");
    if (plan.realism > 0 && !plan.final)
        throw Error(
            where +
            ".plan.realism must be 0 for a regression, which has no posterior to draw from: take "
            "photo_posterior or linear");
    if (plan.realism > 0 && !parts.sampler->seeks_mean)
        throw Error(where +
                    ".plan.realism goes from the mean to a draw: use sampler 'posterior_mean'");
}

// Why no guard can watch over the answer; empty: one can.
std::string no_guard(const SchemeParts& parts)
{
    if (!parts.prior)
        return "without a prior the answer is the measurement";
    if (parts.op->needs_spectrum)
        return "a photograph is estimated from few of its coefficients";
    if (parts.start->consumes_measurement && parts.start->needs_sigma)
        return std::string("the start '") + parts.start->name +
               "' does not believe the noise variance";
    if (parts.noise_updates)
        return "noise_updates fits the noise variance to the answer, which then contradicts "
               "nothing";
    return "";
}

// Of how many observed elements on this member answers by itself; 0: of any.
int read_fewest(const Json& said,
                const std::string& where,
                const SchemeInfo& info,
                const SchemeParts& parts)
{
    if (said.is_null())
        return 0;
    const double most = double(element_count(info.shape));
    const double fewest = said.is_number() ? said.as_double() : -1;
    if (!(fewest >= 0 && fewest <= most) || fewest != std::floor(fewest))
        throw Error(where + ".fewest_observed is " + said.dump().substr(0, 60) +
                    ": give a whole number of 0 .. " + std::to_string(std::int64_t(most)) +
                    ", the elements of an item; 0: it answers however few are observed");
    if (fewest > 0 && (!parts.prior || !parts.op->measurement_is_state || parts.op->needs_spectrum))
        throw Error(where +
                    ".fewest_observed counts the observed elements of a prior's items, of the "
                    "operators identity and mask: leave it out");
    return int(fewest);
}

} // namespace

Traits posterior_traits(const SchemeInfo& info, const SchemeParts& parts)
{
    if (!parts.prior)
        return Traits();
    Traits own = parts.prior->traits();
    const bool open = std::find(info.shape.begin(), info.shape.end(), -1) != info.shape.end();
    if (parts.start->consumes_measurement || info.shape.empty() || open)
        return own;
    try {
        OperatorInput input;
        input.size = element_count(info.shape);
        input.measured_gain = info.measured_gain;
        const PosteriorDenoiser posterior(
            parts.prior, parts.make_operator(input), 1.0f, parts.guidance, parts.guidance_keys);
        return posterior.traits();
    } catch (const Error&) { // which the estimator will say
        own.variance = own.variance && !own.learned;
        return own;
    }
}

void resolve_member(const MemberText& text, SchemeInfo& info, SchemeParts& parts)
{
    const auto& [package, signal, member, signal_where, where, options] = text;
    const Fields sf(signal, signal_where, {"domain", "shape", "axes", "gain"});
    const std::string domain = sf.text("domain", "complex"), gain = sf.text("gain", "unit");
    check_choice("domain", domain, {"complex", "real", "image"}, signal_where);
    check_choice("gain", gain, {"unit", "measured"}, signal_where);
    info.image = domain == "image";
    info.shape = info.image ? read_picture_shape(signal, sf) : read_shape(signal, signal_where);
    info.complex_domain = domain == "complex";
    info.measured_gain = gain == "measured";
    const SignalShape shape{info.complex_domain ? Domain::complex : Domain::real, info.shape};

    const PriorEntry& prior =
        find(priors(), "prior", type_of(member["prior"], where + ".prior"), where);
    info.prior = prior.name;
    const Json op = typed(member["operator"], info.image ? "transform" : "identity");
    parts.op = &find(operators(), "operator", type_of(op, where + ".operator"), where);
    info.op = parts.op->name;
    parts.make_operator =
        parts.op->read(Fields(op, where + ".operator", key_names(*parts.op), &package), shape);
    read_start(member["start"], where + ".start", parts);
    info.start = parts.start->name;
    read_sampler(member["sampler"], where + ".sampler", parts);
    info.sampler = parts.sampler->name;
    read_guidance(member["guidance"], where + ".guidance", parts);
    info.guidance = parts.guidance ? parts.guidance->name : "";
    const PlanEntry& plan = find(plans(), "plan", type_of(member["plan"], where + ".plan"), where);
    info.plan = plan.name;
    PlanParameters p =
        read_plan(Fields(member["plan"], where + ".plan", key_names(plan), &package));
    const std::vector<std::string> keys = key_names(prior);
    Json said = member["prior"];
    // A package's conditions are for those of its priors that take any.
    const bool takes = std::find(keys.begin(), keys.end(), "condition") != keys.end();
    if (takes && !package.manifest["condition"].is_null())
        said.set("condition", package.manifest["condition"]);
    if (!member["condition"].is_null())
        said.set("condition", member["condition"]);
    parts.prior = prior.read(Fields(said, where + ".prior", keys, &package), shape, options);
    if (options.device != "cpu" && !prior.network)
        throw Error(where + ": device = " + options.device + ": the prior '" + prior.name +
                    "' is no network and runs on the CPU: leave the device out");
    read_guidance_scale(member["guidance_scale"], where + ".guidance_scale", parts);
    const Traits traits = parts.prior ? parts.prior->traits() : Traits();
    try {
        inherit_schedule(p, traits.schedule, traits.unit);
        parts.plan = Plan(p);
    } catch (const Error& e) {
        throw Error(where + ": " + e.what());
    }
    info.device = options.device;
    info.max_model_mb = double(options.max_model_bytes) / double(1 << 20);
    if (parts.prior && !parts.plan.measured()) {
        info.levels.resize(std::size_t(parts.plan.max_steps()) + 1);
        parts.plan.levels(parts.plan.sigma_max(), info.levels.data());
    }
    const Json& codec = member["codec"];
    if (!codec.is_null()) {
        if (info.image)
            throw Error(where + ".codec: photographs have a codec of their own: leave it out");
        parts.codec = read_codec(Fields(codec, where + ".codec", codec_keys(), &package), shape);
        info.content = parts.codec->content_shape();
    }
    check_together(text, info, parts);
    const std::string unguarded = no_guard(parts);
    const Json& guard = member["guard"];
    if (!guard.is_null() && !guard.is_bool())
        throw Error(where + ".guard is " + guard.dump().substr(0, 60) + ": give true or false");
    if (guard.is_bool() && guard.as_bool() && !unguarded.empty())
        throw Error(where + ": a guard is not for this scheme, since " + unguarded +
                    ": leave 'guard' out");
    info.guard = guard.is_null() ? unguarded.empty() : guard.as_bool();
    info.fewest_observed = read_fewest(member["fewest_observed"], where, info, parts);
    const Traits answer = posterior_traits(info, parts);
    info.has_variance = parts.prior && answer.variance;
    info.steps = !parts.prior                           ? 0
                 : parts.sampler->step_evaluations == 0 ? 1
                                                        : parts.plan.max_steps();
    if (parts.prior)
        info.evaluations =
            answer.evaluations *
            (parts.noise_updates + evaluations(*parts.sampler, parts.plan, info.steps));
}

} // namespace core
} // namespace diffsem
} // namespace gr
