/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/scheme/scheme.h>

#include "base/names.h"
#include "scheme/scheme_parts.h"

#include <vector>

namespace gr {
namespace diffsem {
namespace core {

// A string, or an object with a "type" ({"type": "mask"}).
Json typed(const Json& value, const char* fallback)
{
    if (value.is_object())
        return value;
    Json object = Json::object();
    object.set("type", value.is_null() ? Json(fallback) : value);
    return object;
}

namespace {

// What the user gave in the string goes where the manifest would say it.
void apply_overrides(const Spec& spec, Json& signal, Json& member)
{
    const auto section = [&](const char* key, const char* fallback) {
        return typed(member[key], fallback);
    };
    const auto number = [&](const std::string& key, const std::string& text) {
        try {
            return Json(Json::parse(text).as_double());
        } catch (const Error&) {
            throw Error("scheme '" + spec.name + "': " + key + " = '" + text + "' is not a number");
        }
    };
    Json plan = section("plan", "geometric"), sampler = section("sampler", "one_step"),
         start = section("start", "matched");
    for (const auto& o : spec.overrides) {
        if (o.first == "gain") {
            signal.set("gain", o.second);
        } else if (o.first == "sampler") {
            sampler.set("type", o.second);
        } else if (o.first == "eta") {
            sampler.set("eta", number(o.first, o.second));
        } else if (o.first == "start") {
            start.set("type", o.second);
        } else if (o.first == "noise_updates") {
            start.set("noise_updates", number(o.first, o.second));
        } else if (o.first == "plan") {
            Json changed = Json::object(); // grid keys of another plan mean nothing to this one
            changed.set("type", o.second);
            for (const char* key : {"steps", "sigma_min", "sigma_max"})
                if (plan.has(key))
                    changed.set(key, plan[key]);
            plan = changed;
        }
    }
    for (const auto& o : spec.overrides)
        if (o.first == "steps" || o.first == "sigma_min" || o.first == "sigma_max" ||
            o.first == "rho" || o.first == "realism")
            plan.set(o.first, number(o.first, o.second));
    // A level to start from: the package's, or the top of the plan.
    if (!start.has("sigma") && plan.has("sigma_max") && start["type"].is_string() &&
        find_start(start["type"].as_string()).needs_sigma)
        start.set("sigma", plan["sigma_max"]);
    member.set("plan", plan);
    member.set("sampler", sampler);
    member.set("start", start);
}

void resolve(const Package& package,
             const Spec& spec,
             const std::string& member_name,
             SchemeImpl& s,
             const LoadOptions& options)
{
    const std::string file =
        package.folder.empty() ? package.onnx : package.folder + "/manifest.json";
    const std::string where = file + ": members." + member_name;
    Json member = package.manifest["members"][member_name], signal = package.manifest["signal"];
    if (!member.is_object() || !member["prior"].is_object() || !member["prior"]["type"].is_string())
        throw Error(where + ": needs \"prior\": {\"type\": ...}");
    apply_overrides(spec, signal, member);

    SchemeInfo& info = s.info;
    info.title = member["title"].is_string()             ? member["title"].as_string()
                 : package.manifest["title"].is_string() ? package.manifest["title"].as_string()
                                                         : package.name;
    const MemberText text{package, signal, member, file + ": signal", where, options};
    if (signal["domain"].is_string() && signal["domain"].as_string() == "image") {
        if (spec.find("noise_updates"))
            throw Error("scheme '" + spec.name + "': noise_updates is not for photographs");
        return resolve_photo(text, s);
    }
    if (spec.find("realism"))
        throw Error("scheme '" + spec.name + "': realism is for schemes of photographs");
    resolve_signal(text, s);
    const std::string* steps = spec.find("steps");
    if (steps && *steps != "1" && info.sampler == std::string("one_step"))
        throw Error("scheme '" + spec.name + "': steps=" + *steps +
                    " but the sampler is one_step: add "
                    "sampler=posterior_mean (or another) to take more");
}

std::uint64_t read_seed(const Spec& spec)
{
    const std::string* text = spec.find("seed");
    if (!text)
        return 0;
    if (text->size() > 19 || text->find_first_not_of("0123456789") != std::string::npos)
        throw Error("scheme '" + spec.name + "': seed = '" + *text +
                    "' is not a whole number below 10^19");
    return std::stoull(*text);
}

// `ls` and `linear` need no files.
bool built_in(const Spec& spec, SchemeImpl& s)
{
    if (spec.name != "ls" && spec.name != "linear")
        return false;
    SchemeInfo& info = s.info;
    const bool linear = spec.name == "linear";
    if (!spec.member.empty())
        throw Error("scheme '" + info.spec + "': '" + spec.name +
                    "' is built in and has no members");
    for (const auto& o : spec.overrides)
        if (o.first != "seed" && !(linear && o.first == "realism"))
            throw Error("scheme '" + info.spec + "': '" + spec.name +
                        "' is built in and takes no key but " +
                        (linear ? "realism and seed" : "seed"));
    if (linear) {
        Json signal = Json::object(), member = Json::object();
        apply_overrides(spec, signal, member);
        s.photo_plan.realism =
            read_realism(Fields(member["plan"], "scheme '" + info.spec + "'", {"type", "realism"}));
        info.title = "linear MMSE of photographs under their spectrum";
        info.image = true;
        info.complex_domain = false;
        info.shape = {3, -1, -1};
        info.prior = "gaussian";
        info.op = "transform";
        info.has_variance = true;
    } else {
        info.title = "least squares: the measurement itself";
        info.prior = "none";
        info.op = "mask";
    }
    info.start = "matched";
    info.sampler = "one_step";
    info.plan = "geometric";
    info.member = spec.name;
    info.manifest_json = "{}";
    s.start = &find_start(info.start);
    s.sampler = &find_sampler(info.sampler);
    return true;
}

} // namespace

Scheme::Scheme(std::unique_ptr<SchemeImpl> impl) : d_impl(std::move(impl)) {}
Scheme::~Scheme() = default;
const SchemeInfo& Scheme::info() const
{
    return d_impl->info;
}

std::size_t Scheme::item_size() const
{
    const SchemeInfo& info = d_impl->info;
    return info.shape.empty() || info.image ? 0 : element_count(info.shape);
}

std::shared_ptr<const Scheme> Scheme::load(const std::string& text, const LoadOptions& options)
{
    auto s = std::make_unique<SchemeImpl>();
    Spec spec = parse_spec(text);
    SchemeInfo& info = s->info;
    info.spec = text;
    s->seed = read_seed(spec);
    if (built_in(spec, *s))
        return std::shared_ptr<const Scheme>(new Scheme(std::move(s)));

    const Package package = open_package(spec, options);
    const Json& members = package.manifest["members"];
    info.package = package.name;
    info.content_hash = package.content_hash;
    info.manifest_json = package.text;
    info.member = spec.member;
    if (info.member.empty()) {
        const Json& chosen = package.manifest["default"];
        info.member = chosen.is_string() ? chosen.as_string() : members.members().front().first;
    }
    if (!members.has(info.member)) {
        std::vector<std::string> names;
        for (const auto& m : members.members())
            names.push_back(m.first);
        throw Error("scheme '" + text + "': the package " + package.name + " has no member '" +
                    info.member + "'" + suggestion(info.member, names));
    }
    resolve(package, spec, info.member, *s, options);
    return std::shared_ptr<const Scheme>(new Scheme(std::move(s)));
}

} // namespace core
} // namespace diffsem
} // namespace gr
