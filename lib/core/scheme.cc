/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/scheme.h>

#include "names.h"
#include "package.h"
#include "scheme_impl.h"

#include <gnuradio/diffsem/core/gaussian.h>
#include <gnuradio/diffsem/core/npy.h>

#include <algorithm>
#include <cmath>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t max_elements = std::size_t(1) << 24; // of one item

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

// A string, or an object with a "type" ({"type": "mask"}).
Json typed(const Json& value, const char* fallback)
{
    if (value.is_object())
        return value;
    Json object = Json::object();
    object.set("type", value.is_null() ? Json(fallback) : value);
    return object;
}

void check_name(const std::string& what,
                const std::string& name,
                const std::vector<std::string>& known,
                const std::string& where)
{
    if (std::find(known.begin(), known.end(), name) == known.end())
        throw Error(where + ": " + what + " '" + name + "' is unknown" + suggestion(name, known));
}

NpyArray tensor_file(const Package& package,
                     const Fields& fields,
                     const std::string& key,
                     const std::string& where,
                     const std::vector<std::int64_t>& shape,
                     const LoadOptions& options)
{
    const std::string file = fields.text(key);
    NpyArray array =
        read_npy(package_file(package, file, where + "." + key), options.max_model_bytes);
    bool fits = array.shape.size() == shape.size();
    std::string expected, found;
    for (std::size_t i = 0; i < shape.size(); i++) {
        fits = fits && (shape[i] < 0 || array.shape[i] == shape[i]);
        expected +=
            (i ? " x " : "") + (shape[i] < 0 ? std::string("any") : std::to_string(shape[i]));
    }
    for (std::size_t i = 0; i < array.shape.size(); i++)
        found += (i ? " x " : "") + std::to_string(array.shape[i]);
    if (!fits)
        fields.fail(key,
                    "its shape is " + found + ", signal.shape and the weights ask for " + expected);
    return array;
}

std::vector<std::complex<double>> complex_values(const NpyArray& array)
{
    std::vector<std::complex<double>> values(array.count());
    for (std::size_t i = 0; i < values.size(); i++)
        values[i] = array.value(i);
    return values;
}

std::vector<double> real_values(const NpyArray& array, const Fields& fields, const std::string& key)
{
    if (array.is_complex)
        fields.fail(key, "must be real");
    return array.data;
}

std::shared_ptr<const Prior> load_mixture(const Package& package,
                                          const Json& json,
                                          const std::string& where,
                                          const SchemeInfo& info,
                                          const LoadOptions& options)
{
    const bool one = json["type"].as_string() == "gaussian";
    const Fields f =
        one ? Fields(json, where, {"type", "covariance", "variance", "mean"})
            : Fields(json, where, {"type", "weights", "means", "covariances", "variances"});
    const char *mean = one ? "mean" : "means", *covariance = one ? "covariance" : "covariances",
               *variance = one ? "variance" : "variances";
    MixtureParameters p;
    p.domain = info.complex_domain ? Domain::complex : Domain::real;
    p.shape = info.shape;
    const auto n = std::int64_t(element_count(info.shape));
    std::vector<std::int64_t> lead;
    if (!one) {
        p.weights =
            real_values(tensor_file(package, f, "weights", where, {-1}, options), f, "weights");
        lead.push_back(std::int64_t(p.weights.size()));
    }
    const auto shaped = [&](std::initializer_list<std::int64_t> item) {
        std::vector<std::int64_t> shape = lead;
        shape.insert(shape.end(), item);
        return shape;
    };
    if (f.has(covariance) == f.has(variance))
        throw Error(where + ": give either '" + covariance + "' or '" + variance + "'");
    if (f.has(covariance))
        p.covariances =
            complex_values(tensor_file(package, f, covariance, where, shaped({n, n}), options));
    else
        p.variances = real_values(
            tensor_file(package, f, variance, where, shaped({n}), options), f, variance);
    if (f.has(mean) || !one)
        p.means = complex_values(tensor_file(package, f, mean, where, shaped({n}), options));
    try {
        return make_mixture_prior(std::move(p));
    } catch (const Error& e) {
        throw Error(where + ": " + e.what());
    }
}

std::shared_ptr<const Prior> load_prior(const Package& package,
                                        const Json& member,
                                        const std::string& where,
                                        const SchemeInfo& info,
                                        const LoadOptions& options)
{
    const Json& json = member["prior"];
    if (info.prior == "none") {
        Fields(json, where, {"type"});
        return nullptr;
    }
    if (info.prior != "onnx")
        return load_mixture(package, json, where, info, options);
    const Fields f(json, where, {"type", "file"});
    const std::string path = package_file(package, f.text("file"), where + ".file");
    auto prior = make_onnx_prior(path, member, options);
    const Traits& t = prior->traits();
    if (element_count(t.shape) != element_count(info.shape) ||
        (t.domain == Domain::complex) != info.complex_domain)
        throw Error(where + ".file: " + path + " is a denoiser of " +
                    std::to_string(element_count(t.shape)) +
                    (t.domain == Domain::complex ? " complex" : " real") +
                    " elements, 'signal' says " + std::to_string(element_count(info.shape)) +
                    (info.complex_domain ? " complex" : " real") + ": correct shape and domain");
    return prior;
}

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

float read_realism(const Fields& fields)
{
    const double realism = fields.number("realism", 0);
    if (!(realism >= 0 && realism <= 1))
        fields.fail("realism", "must lie in 0 .. 1: 0 is the mean, 1 a draw");
    return float(realism);
}

// Photographs: docs/model_contract.md. Prior and operator are given; the plan says how they alternate.
void resolve_photo(const Package& package,
                   const Json& signal,
                   const Json& member,
                   const std::string& signal_where,
                   const std::string& where,
                   SchemeImpl& s,
                   const LoadOptions& options)
{
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
    if (signal["domain"].is_string() && signal["domain"].as_string() == "image")
        return resolve_photo(package, signal, member, file + ": signal", where, s, options);
    if (spec.find("realism"))
        throw Error("scheme '" + spec.name + "': realism is for schemes of photographs");
    const Fields sf(signal, file + ": signal", {"domain", "shape", "axes", "gain"});
    const std::string domain = sf.text("domain", "complex"), gain = sf.text("gain", "unit");
    check_name("domain", domain, {"complex", "real", "image"}, file + ": signal");
    check_name("gain", gain, {"unit", "measured"}, file + ": signal");
    info.shape = read_shape(signal, file + ": signal");
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
    const Fields tf(member["start"], where + ".start", {"type", "sigma"});
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
    const std::string* steps = spec.find("steps");
    if (steps && *steps != "1" && info.sampler == std::string("one_step"))
        throw Error("scheme '" + spec.name + "': steps=" + *steps +
                    " but the sampler is one_step: add "
                    "sampler=posterior_mean (or another) to take more");
    info.has_variance = s.prior && s.prior->traits().variance;
    info.steps = !s.prior ? 0 : info.sampler == "one_step" ? 1 : s.plan.max_steps();
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
    if (spec.name == "ls") {
        if (!spec.member.empty() || (!spec.overrides.empty() && !spec.find("seed")))
            throw Error("scheme '" + text +
                        "': 'ls' is built in and takes neither member nor keys");
        info.title = "least squares: the measurement itself";
        info.prior = "none";
        info.op = "mask";
        info.start = "matched";
        info.sampler = "one_step";
        info.plan = "geometric";
        info.member = "ls";
        info.manifest_json = "{}";
        s->start = &find_start(info.start);
        s->sampler = &find_sampler(info.sampler);
        return std::shared_ptr<const Scheme>(new Scheme(std::move(s)));
    }

    if (spec.name == "linear") {
        Json signal = Json::object(), member = Json::object();
        for (const auto& o : spec.overrides)
            if (o.first != "realism" && o.first != "seed")
                spec.member = o.first;
        if (!spec.member.empty())
            throw Error("scheme '" + text +
                        "': 'linear' is built in and takes neither member nor keys but realism "
                        "and seed");
        apply_overrides(spec, signal, member);
        s->photo_plan.realism =
            read_realism(Fields(member["plan"], "scheme '" + text + "'", {"type", "realism"}));
        info.title = "linear MMSE of photographs under their spectrum";
        info.image = true;
        info.complex_domain = false;
        info.shape = {3, -1, -1};
        info.prior = "gaussian";
        info.op = "transform";
        info.start = "matched";
        info.sampler = "one_step";
        info.plan = "geometric";
        info.member = "linear";
        info.has_variance = true;
        info.manifest_json = "{}";
        s->start = &find_start(info.start);
        s->sampler = &find_sampler(info.sampler);
        return std::shared_ptr<const Scheme>(new Scheme(std::move(s)));
    }

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
