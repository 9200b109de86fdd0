/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scheme/resolve_unknowns.h"

#include <gnuradio/diffsem/core/infer/joint_scheme.h>

#include <algorithm>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

Json shape_json(const std::vector<std::int64_t>& shape)
{
    std::vector<Json> sizes;
    for (std::int64_t n : shape)
        sizes.emplace_back(double(n));
    return Json::array(std::move(sizes));
}

template <typename T>
const T& find(const std::vector<const T*>& table,
              const char* noun,
              const Json& object,
              const std::string& where)
{
    if (!object["type"].is_string())
        throw Error(where + ": needs a \"type\"" + suggestion("", entry_names(table)));
    try {
        return find_entry(table, noun, object["type"].as_string());
    } catch (const Error& e) {
        throw Error(where + ": " + e.what());
    }
}

// One unknown, as a member of its own whose measurement is a look through blocks.
std::shared_ptr<const Scheme> resolve_one(const MemberText& text,
                                          const BilinearOperator& op,
                                          std::size_t u,
                                          const std::string& name,
                                          const SchemeInfo& whole,
                                          std::uint64_t seed)
{
    const std::string where = text.where + ".unknowns." + name;
    Json member = text.member["unknowns"][name];
    if (!member.is_object() || !member["prior"].is_object() || !member["prior"]["type"].is_string())
        throw Error(where + " has no prior: give \"prior\": {\"type\": ...}");
    if (member.has("operator"))
        throw Error(where + ".operator: an unknown has none of its own: leave it out");
    member.set("start", typed(member["start"], "noise"));
    member.set("sampler", typed(member["sampler"], "one_step"));
    member.set("plan", typed(member["plan"], "geometric"));
    member.set("operator", "matrix"); // in whose place the looks come
    member.set("guard", false);       // a look changes with what is believed of the other unknown
    Json signal = Json::object();
    signal.set("domain", "complex");
    signal.set("shape", shape_json(op.shape(u)));
    SchemeInfo info;
    info.spec = whole.spec + " (" + name + ")";
    info.package = whole.package;
    info.member = whole.member;
    SchemeParts parts;
    parts.seed = seed;
    resolve_member({text.package, signal, member, where, where, text.options}, info, parts);
    const Blocks looks = op.looks(u);
    parts.make_operator = [looks](const OperatorInput&) { return make_block_operator(looks); };
    const bool prior = parts.prior && parts.prior->traits().variance;
    info.has_variance = prior && posterior_traits(info, parts).variance;
    if (!info.has_variance)
        throw Error(where +
                    (prior ? ".guidance: behind the looks of the other unknown its answers"
                           : ".prior: its answers") +
                    " come without a variance, which the other unknown is told as noise: take a "
                    "prior that gives one" +
                    (prior ? " there, as gaussian or gmm" : ""));
    return std::make_shared<Scheme>(std::move(info), std::move(parts));
}

} // namespace

void resolve_unknowns(const MemberText& text, SchemeInfo& info, SchemeParts& parts)
{
    const std::string& where = text.where;
    const Json& member = text.member;
    for (const char* key : {"prior", "start", "sampler", "guard", "fallback", "fewest_observed"})
        if (member.has(key))
            throw Error(where + "." + key +
                        ": with several unknowns each has its own: write it into the unknowns, or "
                        "leave it out");
    const Fields signal(text.signal, text.signal_where, {"domain", "shape", "axes", "gain"});
    if (signal.text("domain", "complex") != "complex" || signal.text("gain", "unit") != "unit")
        throw Error(text.signal_where +
                    ": several unknowns are measured in complex numbers of gain 'unit'");

    auto joint = std::make_shared<JointParts>();
    const Json of_op = typed(member["operator"], "");
    if (!of_op["type"].is_string() || of_op["type"].as_string().empty())
        throw Error(where + " has unknowns but no operator: give a bilinear one" +
                    suggestion("", entry_names(bilinear_operators())));
    joint->entry = &find(bilinear_operators(), "bilinear operator", of_op, where + ".operator");
    joint->op = joint->entry->read(
        Fields(of_op, where + ".operator", key_names(*joint->entry), &text.package));
    const std::vector<std::string> names = joint->op->unknowns();
    const Json& unknowns = member["unknowns"];
    if (!unknowns.is_object())
        throw Error(where + ".unknowns must be an object {\"NAME\": {\"prior\": ...}, ...}");
    for (const auto& one : unknowns.members())
        if (std::find(names.begin(), names.end(), one.first) == names.end())
            throw Error(where + ".unknowns: the operator '" + joint->entry->name +
                        "' has no unknown '" + one.first + "'" + suggestion(one.first, names));
    const Json& shape = text.signal["shape"];
    if (!shape.is_null() && shape.dump() != shape_json(joint->op->shape()).dump())
        throw Error(text.signal_where + ".shape = " + shape.dump().substr(0, 60) +
                    ": the operator '" + joint->entry->name + "' measures " +
                    shape_json(joint->op->shape()).dump());

    const Json plan = typed(member["plan"], "alternate");
    joint->driver = &find(drivers(), "driver", plan, where + ".plan");
    joint->parameters =
        read_driver(Fields(plan, where + ".plan", key_names(*joint->driver)), names);
    bool variance = true;
    for (std::size_t u = 0; u < names.size(); u++) {
        joint->schemes.push_back(resolve_one(text, *joint->op, u, names[u], info, parts.seed));
        const SchemeInfo& its = joint->schemes.back()->info();
        const char* gap = u ? ", " : "";
        info.prior += gap + names[u] + ": " + its.prior;
        info.start += gap + names[u] + ": " + its.start;
        info.sampler += gap + names[u] + ": " + its.sampler;
        info.unknowns.emplace_back(names[u], joint->op->shape(u));
        variance = variance && its.has_variance;
    }
    info.op = joint->entry->name;
    info.plan = joint->driver->name;
    info.shape = joint->op->shape();
    info.complex_domain = true;
    info.has_variance = variance;
    info.steps = joint->parameters.rounds;
    parts.joint = std::move(joint);
}

} // namespace core
} // namespace diffsem
} // namespace gr
