/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "priors/denoiser_spec.h"

#include "onnx/onnx_sidecar.h"
#include "onnx/tensor_shape.h"
#include "priors/denoiser_inputs.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {
namespace {

template <typename Enum>
Enum choose(const OnnxFile& file,
            const std::string& key,
            const std::vector<std::string>& names,
            const std::string& fallback)
{
    const std::string value = meta_choice(file, key, names, fallback);
    return static_cast<Enum>(std::find(names.begin(), names.end(), value) - names.begin());
}

Error wrong(const OnnxFile& file, const std::string& key, const std::string& remedy)
{
    return Error(file.path + ": " + key + " is '" + file.meta(key) + "'. " + remedy);
}

//! Which levels the net's timesteps are: its time embedding, and what a plan inherits.
void read_levels(const OnnxFile& file, DenoiserSpec& spec)
{
    const char* const key = "diffsem.schedule";
    const Json json = meta_json(file, key);
    if (json.is_null() && spec.embedding != Embedding::timestep)
        return;
    const std::string form = "Give {\"type\": \"linear_vp\", \"steps\": 1000, \"beta_min\": 1e-4, "
                             "\"beta_max\": 0.02}; or scaled_linear, cosine, or alphas_cumprod "
                             "with the array of that name";
    const bool array = json["type"].is_string() && json["type"].as_string() == "alphas_cumprod";
    if (!json.is_object() || !json["type"].is_string() || (!array && !json["steps"].is_number()))
        throw wrong(file, key, "diffsem.time_embedding 'timestep' needs it. " + form);
    const std::string where = file.path + ": " + key;
    const ScheduleEntry& entry =
        find_entry(schedules(), (where + ".type").c_str(), json["type"].as_string());
    std::vector<std::string> known = key_names(entry);
    if (!array) // files of version 1 may say more than is read
        for (const auto& member : json.members())
            known.push_back(member.first);
    spec.schedule = read_schedule(Fields(json, where, known));
    spec.levels = log_levels(spec.schedule, where);
}

void read_range(const OnnxFile& file, DenoiserSpec& spec)
{
    const char* const key = "diffsem.sigma_range";
    const Json json = meta_json(file, key);
    if (json.is_null()) {
        if (spec.embedding == Embedding::timestep) {
            spec.sigma_min = float(std::exp(spec.levels.front())) / spec.component_std;
            spec.sigma_max = float(std::exp(spec.levels.back())) / spec.component_std;
        }
        return;
    }
    if (json.is_array() && json.size() == 2 && json.items()[0].is_number() &&
        json.items()[1].is_number()) {
        spec.sigma_min = static_cast<float>(json.items()[0].as_double());
        spec.sigma_max = static_cast<float>(json.items()[1].as_double());
        if (spec.sigma_min > 0 && spec.sigma_min < spec.sigma_max && std::isfinite(spec.sigma_max))
            return;
    }
    throw wrong(file, key, "Give [min, max] with 0 < min < max");
}

void read_clip(const OnnxFile& file, DenoiserSpec& spec)
{
    const Json json = meta_json(file, "diffsem.clip");
    if (json.is_null())
        return;
    if (!json.is_number() || !(json.as_double() > 0 && json.as_double() <= 1e6))
        throw wrong(
            file,
            "diffsem.clip",
            "Give the largest value that a clean signal has in the network's units, as 1.0");
    spec.clip = float(json.as_double()) * spec.scale_out;
}

void read_normalisation(const OnnxFile& file, DenoiserSpec& spec)
{
    const char* const key = "diffsem.normalisation";
    const Json json = meta_json(file, key);
    bool by_graph = false;
    if (!json.is_null()) {
        const std::string form =
            "Give {\"component_std\": 1.0, \"applied_by\": \"runtime\"} (or \"graph\")";
        if (!json.is_object())
            throw wrong(file, key, form);
        if (json.has("component_std"))
            spec.component_std = static_cast<float>(json["component_std"].as_double());
        const std::string by =
            json.has("applied_by") ? json["applied_by"].as_string() : std::string("runtime");
        if (!(spec.component_std > 0 && std::isfinite(spec.component_std)) ||
            (by != "runtime" && by != "graph"))
            throw wrong(file, key, form);
        by_graph = by == "graph";
    }
    if (by_graph && spec.prediction != Prediction::x0)
        throw Error(file.path +
                    ": diffsem.normalisation is applied by the graph, but diffsem.prediction is '" +
                    file.meta("diffsem.prediction") +
                    "', whose units then are not known. Use applied_by runtime, or predict x0");
    // Unit power spread over two components leaves each with 1/sqrt(2).
    const double scale = spec.component_std * (spec.is_complex ? std::sqrt(2.0) : 1.0);
    spec.scale_in = by_graph ? 1.0f : static_cast<float>(scale);
    spec.scale_out = by_graph ? 1.0f : static_cast<float>(1.0 / scale);
}

void read_x(const OnnxFile& file, DenoiserSpec& spec)
{
    const TensorInfo& x = file.inputs[0];
    std::vector<std::int64_t> item = spec.shape;
    if (spec.is_complex) {
        if (spec.layout == Layout::interleaved)
            item.push_back(2);
        else
            item.insert(item.begin(), 2);
    }
    if (x.type != ElemType::float32)
        throw Error(file.path + ": its input '" + x.describe() +
                    "' is not float32. Export the model in float32");
    if (!fits(x, item))
        throw Error(file.path +
                    ": diffsem.shape, diffsem.domain and diffsem.layout ask for an input " +
                    list(item) + ", but the graph has '" + x.describe() +
                    "'. Correct the metadata or export the graph again");
    if (x.shape[0] != TensorInfo::dynamic)
        spec.fixed_batch = static_cast<std::size_t>(x.shape[0]);
    spec.inputs.push_back(with_batch(x, item, spec.fixed_batch));
}

void read_level(const OnnxFile& file, DenoiserSpec& spec)
{
    const bool none = spec.embedding == Embedding::none;
    const std::size_t wanted = spec.first_condition();
    if (file.inputs.size() < wanted)
        throw Error(file.path + ": diffsem.time_embedding is '" +
                    file.meta("diffsem.time_embedding") + "', which means " +
                    std::to_string(wanted) + " inputs, but the graph has " +
                    std::to_string(file.inputs.size()) + ". Correct the metadata");
    if (none)
        return;
    const TensorInfo& t = file.inputs[1];
    const bool integer = t.type == ElemType::int64 && spec.embedding == Embedding::timestep;
    if (t.type != ElemType::float32 && !integer)
        throw Error(file.path + ": its input '" + t.describe() +
                    "' should be float32 (or int64 for timestep). Export the model again");
    if (t.shape.empty() ||
        (t.shape[0] != TensorInfo::dynamic && spec.inputs[0].shape[0] != t.shape[0]))
        throw Error(file.path + ": its input '" + t.describe() + "' should have the batch of '" +
                    file.inputs[0].describe() + "' as its first dimension. Export the model again");

    std::vector<std::int64_t> ones(t.shape.size() - 1, 1), planes = spec.shape, last = spec.shape;
    planes.insert(planes.begin(), 1);
    last.push_back(1);
    const bool all_given = std::all_of(t.shape.begin() + 1, t.shape.end(), [](std::int64_t d) {
        return d != TensorInfo::dynamic;
    });
    std::vector<std::int64_t> item;
    if (fits(t, ones) && (all_given || t.shape.size() == 1))
        item = ones;
    else if (fits(t, planes))
        item = planes;
    else if (fits(t, spec.shape))
        item = spec.shape;
    else if (fits(t, last))
        item = last;
    else
        throw Error(file.path + ": its input '" + t.describe() +
                    "' is neither one level for the item, [batch], "
                    "nor one for each element, " +
                    list(planes) + ". Export the model again");
    spec.level_per_element = item != ones;
    spec.inputs.push_back(with_batch(t, item, spec.fixed_batch));
}

void read_outputs(const OnnxFile& file, DenoiserSpec& spec)
{
    if (spec.variance && file.outputs.size() < 2)
        throw Error(file.path +
                    ": diffsem.learned_variance is 'log_variance', but the graph has only "
                    "the output '" +
                    file.outputs[0].describe() +
                    "'. Export the second output or set learned_variance to none");
    for (std::size_t i = 0; i < (spec.variance ? 2u : 1u); ++i) {
        OrtTensor t; // shape: learnt by running the graph
        t.name = file.outputs[i].name;
        t.type = file.outputs[i].type;
        spec.outputs.push_back(t);
    }
}

} // namespace

DenoiserSpec read_denoiser_spec(const OnnxFile& file, const Json& condition)
{
    check_contract(file, true);
    if (file.meta("diffsem.role") != "denoiser")
        throw Error(
            file.path + ": diffsem.role is '" + file.meta("diffsem.role") +
            "', and a prior must be a denoiser. Use it with the block onnx_inference instead");
    DenoiserSpec spec;
    spec.prediction =
        choose<Prediction>(file, "diffsem.prediction", {"x0", "eps", "v", "score", "flow"}, "");
    spec.scaling = choose<Scaling>(file, "diffsem.input_scaling", {"ve", "vp", "flow"}, "vp");
    spec.embedding =
        choose<Embedding>(file,
                          "diffsem.time_embedding",
                          {"sigma", "log_sigma", "timestep", "alpha_bar", "flow_time", "none"},
                          "");
    spec.layout = choose<Layout>(
        file, "diffsem.layout", {"planar", "interleaved", "magnitude_phase"}, "planar");
    spec.is_complex =
        meta_choice(file, "diffsem.domain", {"complex", "real"}, "complex") == "complex";
    spec.variance =
        meta_choice(file, "diffsem.learned_variance", {"none", "log_variance"}, "none") != "none";
    spec.shape = meta_shape(file, "diffsem.shape");
    if (spec.shape.empty())
        throw Error(file.path +
                    ": diffsem.shape is missing. Give the shape of one item, such as [64]");
    spec.elements = 1;
    for (const auto d : spec.shape)
        spec.elements *= static_cast<std::size_t>(d);
    spec.width = spec.elements * (spec.is_complex ? 2 : 1);
    read_normalisation(file, spec);
    spec.to_data = meta_choice(file, "diffsem.flow_time", {"noise", "data"}, "noise") == "data";
    read_levels(file, spec);
    read_range(file, spec);
    read_clip(file, spec);
    const Json macs = meta_json(file, "diffsem.macs");
    spec.macs = macs.is_number() ? macs.as_double() : static_cast<double>(file.parameters);
    read_x(file, spec);
    read_level(file, spec);
    read_conditions(file, condition, spec);
    read_outputs(file, spec);
    return spec;
}

Coefficients DenoiserSpec::coefficients(float sigma) const
{
    const double s = sigma;
    const double abar = 1 / (1 + s * s), noise = s * std::sqrt(abar), t = s / (1 + s);
    const double c = scaling == Scaling::ve   ? 1
                     : scaling == Scaling::vp ? std::sqrt(abar)
                                              : 1 / (1 + s);
    double a = 1, b = -s;
    switch (prediction) {
    case Prediction::x0:
        a = 0, b = 1;
        break;
    case Prediction::eps:
        break;
    case Prediction::v: // of the variance-preserving path, whatever the input's scaling
        a = abar, b = -noise;
        break;
    case Prediction::score: // eps = -(noise of the scaled input) x score
        b = s * (scaling == Scaling::ve ? s : scaling == Scaling::vp ? noise : t);
        break;
    case Prediction::flow: // velocity n - x0 along (1-t) x0 + t n; reversed it is x0 - n
        a = 1 / (1 + s), b = to_data ? t : -t;
        break;
    }
    return {static_cast<float>(a), static_cast<float>(b), static_cast<float>(c)};
}

float DenoiserSpec::embed(float sigma) const
{
    switch (embedding) {
    case Embedding::sigma:
        return sigma;
    case Embedding::log_sigma:
        return std::log(sigma);
    case Embedding::alpha_bar:
        return 1 / (1 + sigma * sigma);
    case Embedding::flow_time:
        return to_data ? 1 / (1 + sigma) : sigma / (1 + sigma);
    case Embedding::timestep: {
        const double wanted = std::log(double(sigma));
        const auto above = std::lower_bound(levels.begin(), levels.end(), wanted);
        if (above == levels.begin())
            return 0;
        if (above == levels.end())
            return static_cast<float>(levels.size() - 1);
        const auto index = static_cast<double>(above - levels.begin());
        return static_cast<float>(index - (*above - wanted) / (*above - *(above - 1)));
    }
    case Embedding::none:
        break;
    }
    return 0;
}

} // namespace core
} // namespace diffsem
} // namespace gr
