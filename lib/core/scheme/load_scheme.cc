/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/scheme/load_scheme.h>

#include "scheme/paths.h"
#include "scheme/resolve_member.h"
#include "scheme/resolve_unknowns.h"
#include "scheme/string_keys.h"

#include <gnuradio/diffsem/core/infer/driver.h>
#include <gnuradio/diffsem/core/operators/bilinear.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

// A choice whose type the string may change: of the old one's keys those that the new one reads too.
template <typename T>
Json kept(const Spec& spec,
          const char* noun,
          const Json& object,
          const std::vector<const T*>& table)
{
    Json changed = chosen(spec, noun, object);
    for (const T* entry : table)
        if (changed["type"].is_string() && changed["type"].as_string() == entry->name)
            for (const Key& key : entry->keys)
                if (object.has(key.name))
                    changed.set(key.name, object[key.name]);
    return changed;
}

// No name: it begins as a number does, or is what is no number in so many words.
bool meant_as_number(const std::string& text)
{
    std::string low;
    for (const char c : text)
        low += char(std::tolower(static_cast<unsigned char>(c)));
    return low == "nan" || low == "inf" || low == "infinity" ||
           !std::isalpha(static_cast<unsigned char>(text[0]));
}

// What the user gave in the string goes where the manifest would say it.
void apply_overrides(const Spec& spec, Json& signal, Json& member)
{
    Json plan = typed(member["plan"], "geometric"), sampler = typed(member["sampler"], "one_step"),
         start = typed(member["start"], "matched");
    if (const std::string* gain = spec.find("gain"))
        signal.set("gain", *gain);
    if (const std::string* guard = spec.find("guard")) {
        if (*guard != "on" && *guard != "off")
            throw Error("scheme '" + spec.name + "': guard = '" + *guard +
                        "' is neither 'on' nor 'off'");
        member.set("guard", *guard == "on");
    }
    if (const std::string* fewest = spec.find("fewest_observed"))
        member.set("fewest_observed", value_of(spec, {"fewest_observed", ""}, *fewest));
    Json guidance = typed(member["guidance"], "");
    // A name is the way to condition, a number the scale of classifier-free guidance.
    const std::string *said = spec.find("guidance"), *scale = spec.find("guidance_scale");
    const bool named = said && !meant_as_number(*said);
    if (named)
        guidance = typed(Json(*said), ""); // another one's keys mean nothing to it
    if (said && scale && !named)
        throw Error("scheme '" + spec.name + "': guidance = " + *said + " and guidance_scale = " +
                    *scale + " both say the scale of classifier-free guidance: give one of them");
    if (scale)
        member.set("guidance_scale", value_of(spec, {"guidance_scale", ""}, *scale));
    else if (said && !named)
        member.set("guidance_scale", value_of(spec, {"guidance", ""}, *said));
    Json op =
        typed(member["operator"],
              signal["domain"].is_string() && signal["domain"].as_string() == "image" ? "transform"
                                                                                      : "identity");
    sampler = kept(spec, "sampler", sampler, samplers());
    start = kept(spec, "start", start, starts());
    op = chosen(spec, "operator", op);
    const Json before = plan;
    plan = chosen(spec, "plan", plan); // grid keys of another plan mean nothing to this one
    for (const PlanEntry* entry : plans())
        for (const Key& key : entry->keys)
            for (const char* common : {"steps", "sigma_min", "sigma_max"})
                if (plan["type"].is_string() && plan["type"].as_string() == entry->name &&
                    std::string(common) == key.name && before.has(common))
                    plan.set(common, before[common]);
    place_keys(spec,
               {{"plan", &plan},
                {"sampler", &sampler},
                {"start", &start},
                {"operator", &op},
                {"guidance", &guidance}});
    if (guidance.members().size() > 1 || !guidance["type"].is_string() ||
        !guidance["type"].as_string().empty())
        member.set("guidance", guidance);
    // A level to start from: the package's, or the top of the plan.
    if (!start.has("sigma") && plan.has("sigma_max") && start["type"].is_string() &&
        find_entry(starts(), "start", start["type"].as_string()).needs_sigma)
        start.set("sigma", plan["sigma_max"]);
    member.set("plan", plan);
    member.set("sampler", sampler);
    member.set("start", start);
    if (!member["operator"].is_null() || spec.find("operator"))
        member.set("operator", op);
}

// Of several unknowns the string says when each is updated; how each is inferred is the manifest's.
void apply_driver_overrides(const Spec& spec, Json& member)
{
    Json plan = typed(member["plan"], "alternate");
    for (const auto& [key, text] : spec.overrides) {
        const Key* of_driver = find_key(entries(drivers()), key);
        if (of_driver && key != "order")
            plan.set(key, value_of(spec, *of_driver, text));
        else if (key != "seed")
            throw Error("scheme '" + spec.name + "': the key '" + key +
                        "' is of schemes of one unknown; this one has several: it takes rounds, "
                        "settle and seed");
    }
    member.set("plan", plan);
}

// The driver's keys mean nothing to a scheme of one unknown.
void refuse_driver_overrides(const Spec& spec)
{
    for (const auto& o : spec.overrides)
        if (find_key(entries(drivers()), o.first) && !find_key(entries(plans()), o.first))
            throw Error("scheme '" + spec.name + "': the key '" + o.first +
                        "' is of schemes of several unknowns, this one has one: leave it out");
}

void resolve(const Package& package,
             const Spec& spec,
             const LoadOptions& options,
             SchemeInfo& info,
             SchemeParts& parts)
{
    const std::string file =
        package.folder.empty() ? package.onnx : package.folder + "/manifest.json";
    const std::string where = file + ": members." + info.member;
    Json member = package.manifest["members"][info.member], signal = package.manifest["signal"];
    info.title = member["title"].is_string()             ? member["title"].as_string()
                 : package.manifest["title"].is_string() ? package.manifest["title"].as_string()
                                                         : package.name;
    if (member.has("unknowns")) {
        apply_driver_overrides(spec, member);
        return resolve_unknowns(
            {package, signal, member, file + ": signal", where, options}, info, parts);
    }
    refuse_driver_overrides(spec);
    if (!member.is_object() || !member["prior"].is_object() || !member["prior"]["type"].is_string())
        throw Error(where + ": needs \"prior\": {\"type\": ...}");
    apply_overrides(spec, signal, member);
    resolve_member({package, signal, member, file + ": signal", where, options}, info, parts);
    const std::string* steps = spec.find("steps");
    if (steps && *steps != "1" && parts.sampler->step_evaluations == 0)
        throw Error("scheme '" + spec.name + "': steps=" + *steps +
                    " but the sampler is one_step: add "
                    "sampler=posterior_mean (or another) to take more");
}

// What the string says of the prior's side inputs: NAME=NUMBER, or numbers separated by semicolons.
void read_conditions(const Spec& spec, const SchemeInfo& info, SchemeParts& parts)
{
    const std::vector<SideInput> inputs =
        parts.prior ? parts.prior->traits().conditions : std::vector<SideInput>();
    std::vector<std::string> names;
    for (const SideInput& input : inputs) {
        names.push_back(input.name);
        if (is_key(input.name))
            throw Error("scheme '" + info.spec + "': its condition '" + input.name +
                        "' has the name of a key of the scheme string: give it another name, in "
                        "the metadata and in the graph");
    }
    check_keys(spec, info.spec, names);
    for (const SideInput& input : inputs) {
        const std::string* text = spec.find(input.name);
        if (!text)
            continue;
        if (input.previous)
            throw Error("scheme '" + info.spec + "': the condition '" + input.name +
                        "' is the previous answer, which the run itself fills in: leave it out");
        std::vector<float> values;
        for (const std::string& part : split(*text, ';'))
            values.push_back(float(value_of(spec, {input.name.c_str(), ""}, part).as_double()));
        try {
            input.check(values.data(), values.size());
        } catch (const Error& e) {
            throw Error("scheme '" + info.spec + "': " + e.what());
        }
        parts.conditions[input.name] = std::move(values);
    }
}

// The member that answers in this one's place; empty: least squares. Follows the chain to its end.
std::string fallback_of(const Package& package, const std::string& member)
{
    const Json& members = package.manifest["members"];
    const std::string file =
        package.folder.empty() ? package.onnx : package.folder + "/manifest.json";
    std::vector<std::string> chain = {member};
    for (;;) {
        const Json& next = members[chain.back()]["fallback"];
        if (next.is_null())
            return chain.size() > 1 ? chain[1] : "";
        const std::string where = file + ": members." + chain.back() + ".fallback";
        if (!next.is_string())
            throw Error(where + " is " + next.dump().substr(0, 60) +
                        ": give the name of a member, or leave it out for least squares");
        const std::string& name = next.as_string();
        if (!members.has(name)) {
            std::vector<std::string> names;
            for (const auto& m : members.members())
                names.push_back(m.first);
            throw Error(where + " names '" + name + "', which is no member" +
                        suggestion(name, names) + "; leave it out for least squares");
        }
        const bool seen = std::find(chain.begin(), chain.end(), name) != chain.end();
        chain.push_back(name);
        if (seen) {
            std::string circle;
            for (const auto& each : chain)
                circle += (circle.empty() ? "" : " -> ") + each;
            throw Error(where + " goes in a circle, " + circle +
                        ": let the last one have no fallback (least squares)");
        }
    }
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

// With its fallback, which runs as its own text says: of the string only units and dice hold for it too.
std::shared_ptr<const Scheme> load_member(const Package& package,
                                          const Spec& spec,
                                          const LoadOptions& options,
                                          SchemeInfo info,
                                          SchemeParts parts)
{
    resolve(package, spec, options, info, parts);
    read_conditions(spec, info, parts);
    const std::string fallback = fallback_of(package, info.member);
    if (info.fewest_observed && fallback.empty())
        throw Error(
            "scheme '" + info.spec + "': member '" + info.member +
            "' has fewest_observed = " + std::to_string(info.fewest_observed) +
            " but no fallback that could answer below it: give 'fallback' a member, or leave "
            "fewest_observed out");
    const bool replaced = info.guard || info.fewest_observed;
    if (replaced && !fallback.empty()) {
        Spec other = spec;
        other.overrides.clear();
        if (const std::string* gain = spec.find("gain"))
            other.overrides.emplace_back("gain", *gain);
        SchemeInfo its = info;
        its.member = fallback;
        SchemeParts of_it;
        of_it.seed = parts.seed;
        parts.fallback = load_member(package, other, options, its, of_it);
        const OperatorEntry& its_op = *parts.fallback->parts().op;
        if (parts.op->measurement_is_state ? !its_op.measurement_is_state : &its_op != parts.op)
            throw Error("scheme '" + info.spec + "': its fallback '" + fallback +
                        "' measures through the operator '" + parts.fallback->info().op +
                        "', which '" + info.member +
                        "' does not: name a member with the same operator");
    }
    info.fallback = !replaced ? "" : fallback.empty() ? "ls" : fallback;
    return std::make_shared<Scheme>(std::move(info), std::move(parts));
}

// `ls` and `linear` need no files: their text stands here.
bool built_in(const Spec& spec, SchemeInfo& info, SchemeParts& parts)
{
    if (spec.name != "ls" && spec.name != "linear")
        return false;
    const bool linear = spec.name == "linear";
    check_keys(spec, info.spec);
    if (!spec.member.empty())
        throw Error("scheme '" + info.spec + "': '" + spec.name +
                    "' is built in and has no members");
    for (const auto& o : spec.overrides)
        if (o.first != "seed" && !(linear && o.first == "realism"))
            throw Error("scheme '" + info.spec + "': '" + spec.name +
                        "' is built in and takes no key but " +
                        (linear ? "realism and seed" : "seed"));
    Json signal = Json::object(), member = Json::object();
    if (linear) {
        Json plan = Json::object();
        plan.set("type", "proximal");
        plan.set("steps", 1);
        member.set("plan", plan);
        info.title = "linear MMSE of photographs under their spectrum";
        info.image = true;
        info.complex_domain = false;
        info.shape = {3, -1, -1};
        info.prior =
            "gaussian"; // of the spectrum that comes with each picture: its answer is the start
        info.has_variance = true;
    } else {
        info.title = "least squares: the measurement itself";
        info.prior = "none";
    }
    apply_overrides(spec, signal, member);
    const std::string where = "scheme '" + info.spec + "'";
    parts.plan = Plan(read_plan(
        Fields(member["plan"],
               where,
               key_names(find_entry(plans(), "plan", member["plan"]["type"].as_string())))));
    parts.op = &find_entry(operators(), "operator", linear ? "transform" : "mask");
    const Json no_keys = Json::object();
    parts.make_operator = parts.op->read(Fields(no_keys, where, {}),
                                         {linear ? Domain::real : Domain::complex, info.shape});
    parts.start = &find_entry(starts(), "start", "matched");
    parts.sampler = &find_entry(samplers(), "sampler", "one_step");
    info.op = parts.op->name;
    info.start = parts.start->name;
    info.sampler = parts.sampler->name;
    info.plan = parts.plan.parameters().type;
    info.member = spec.name;
    info.manifest_json = "{}";
    return true;
}

} // namespace

std::vector<std::pair<std::string, std::vector<const Entry*>>> nouns()
{
    return {{"prior", entries(priors())},
            {"operator", entries(operators())},
            {"start", entries(starts())},
            {"guidance", entries(guidances())},
            {"sampler", entries(samplers())},
            {"plan", entries(plans())},
            {"bilinear operator", entries(bilinear_operators())},
            {"driver", entries(drivers())}};
}

std::shared_ptr<const Scheme> load_scheme(const std::string& text, const LoadOptions& given)
{
    SchemeInfo info;
    SchemeParts parts;
    Spec spec = parse_spec(text);
    info.spec = text;
    parts.seed = read_seed(spec);
    if (built_in(spec, info, parts))
        return std::make_shared<Scheme>(std::move(info), std::move(parts));

    const LoadOptions options = load_options(spec, given);
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
    return load_member(package, spec, options, std::move(info), std::move(parts));
}

} // namespace core
} // namespace diffsem
} // namespace gr
