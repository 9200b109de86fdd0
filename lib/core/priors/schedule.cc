/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/priors/schedule.h>

#include <gnuradio/diffsem/core/base/error.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr double pi = 3.14159265358979323846;

// Ho et al. 2020, section 4: what most published networks were trained on.
constexpr int default_steps = 1000;
constexpr double default_beta_min = 1e-4, default_beta_max = 0.02;

template <typename Beta>
std::vector<double> products(int steps, Beta beta)
{
    std::vector<double> alpha_bar;
    double product = 1;
    for (int t = 0; t < steps; t++)
        alpha_bar.push_back(product *= 1 - beta(t));
    return alpha_bar;
}

std::vector<double> linear_vp(const ScheduleKeys& k)
{
    const double rise = (k.beta_max - k.beta_min) / std::max(k.steps - 1, 1);
    return products(k.steps, [&](int t) { return k.beta_min + rise * t; });
}

std::vector<double> scaled_linear(const ScheduleKeys& k)
{
    const double low = std::sqrt(k.beta_min), rise = (std::sqrt(k.beta_max) - low) / (k.steps - 1);
    return products(k.steps, [&](int t) { return std::pow(low + rise * t, 2); });
}

std::vector<double> cosine(const ScheduleKeys& k)
{
    const auto f = [&](int t) {
        return std::pow(std::cos((double(t) / k.steps + 0.008) / 1.008 * pi / 2), 2);
    };
    return products(k.steps, [&](int t) { return std::min(0.999, 1 - f(t + 1) / f(t)); });
}

std::vector<double> given(const ScheduleKeys& k)
{
    return k.alphas_cumprod;
}

} // namespace

const std::vector<const ScheduleEntry*>& schedules()
{
    static const Key steps = {"steps", "length T (1000)"},
                     beta_min = {"beta_min", "first beta, in (0, 1) (1e-4)"},
                     beta_max = {"beta_max", "last beta, from beta_min to below 1 (0.02)"};
    static const ScheduleEntry of_linear_vp = {{"linear_vp",
                                                "A variance-preserving process with linear beta "
                                                "(Ho et al. 2020, section 4).",
                                                {steps, beta_min, beta_max}},
                                               linear_vp},
                               of_scaled_linear = {{"scaled_linear",
                                                    "The root of beta grows linearly (latent "
                                                    "diffusion: Rombach et al. 2022, app. E).",
                                                    {steps, beta_min, beta_max}},
                                                   scaled_linear},
                               of_cosine = {{"cosine",
                                             "The cosine schedule, betas at most 0.999 (Nichol and "
                                             "Dhariwal 2021, eq. 17).",
                                             {steps}},
                                            cosine},
                               of_array = {{"alphas_cumprod",
                                            "Any other: alpha_bar of each step, falling.",
                                            {list_key("alphas_cumprod",
                                                      "[T], each in (0, 1): numbers, or in a "
                                                      "package the name of a .npy file")}},
                                           given};
    static const std::vector<const ScheduleEntry*> table = {
        &of_linear_vp, &of_scaled_linear, &of_cosine, &of_array};
    return table;
}

ScheduleKeys read_schedule(const Fields& f)
{
    ScheduleKeys k;
    k.type = f.text("type");
    k.steps = f.integer("steps", 0);
    if (f.has("steps") && (k.steps < 2 || k.steps > most_schedule_steps))
        f.fail("steps", "must be 2 to 100000");
    k.beta_min = f.number("beta_min", 0);
    k.beta_max = f.number("beta_max", 0);
    for (const char* key : {"beta_min", "beta_max"})
        if (f.has(key) && !(f.number(key, 0) > 0 && f.number(key, 0) < 1))
            f.fail(key, "must lie in (0, 1), and beta_min not above beta_max");
    if (f.has("alphas_cumprod"))
        k.alphas_cumprod = f.array("alphas_cumprod", {-1}).data;
    return k;
}

Json schedule_json(const ScheduleKeys& k)
{
    Json json = Json::object();
    json.set("type", k.type);
    if (k.steps)
        json.set("steps", k.steps);
    if (k.beta_min > 0)
        json.set("beta_min", k.beta_min);
    if (k.beta_max > 0)
        json.set("beta_max", k.beta_max);
    if (!k.alphas_cumprod.empty()) {
        json.set("alphas_cumprod", Json::array({k.alphas_cumprod.begin(), k.alphas_cumprod.end()}));
    }
    return json;
}

ScheduleKeys completed(ScheduleKeys k, const ScheduleKeys& other)
{
    if (k.type != other.type)
        return k;
    if (!k.steps)
        k.steps = other.steps;
    if (!(k.beta_min > 0))
        k.beta_min = other.beta_min;
    if (!(k.beta_max > 0))
        k.beta_max = other.beta_max;
    if (k.alphas_cumprod.empty())
        k.alphas_cumprod = other.alphas_cumprod;
    return k;
}

std::vector<double> log_levels(const ScheduleKeys& keys, const std::string& where)
{
    const ScheduleEntry& entry = find_entry(schedules(), (where + ": schedule").c_str(), keys.type);
    ScheduleKeys k = keys;
    k.steps = k.steps ? k.steps : default_steps;
    k.beta_min = k.beta_min > 0 ? k.beta_min : default_beta_min;
    k.beta_max = k.beta_max > 0 ? k.beta_max : default_beta_max;
    if (k.steps < 2 || k.steps > most_schedule_steps)
        throw Error(where + ": a schedule has 2 to 100000 steps, not " + std::to_string(k.steps));
    if (!(k.beta_min < 1 && k.beta_min <= k.beta_max && k.beta_max < 1))
        throw Error(where + ": 0 < beta_min <= beta_max < 1 must hold, found " +
                    Json(k.beta_min).dump() + " and " + Json(k.beta_max).dump());
    std::vector<double> levels = entry.alpha_bar(k);
    if (levels.size() < 2 || levels.size() > std::size_t(most_schedule_steps))
        throw Error(where +
                    ": the schedule 'alphas_cumprod' needs the array of that name, with 2 to "
                    "100000 numbers: found " +
                    std::to_string(levels.size()));
    double before = 1;
    for (std::size_t t = 0; t < levels.size(); t++) {
        if (!(levels[t] > 0 && levels[t] < before))
            throw Error(where + ": alphas_cumprod[" + std::to_string(t) +
                        "] = " + Json(levels[t]).dump().substr(0, 30) +
                        ": they must fall, from below 1 to above 0");
        before = levels[t];
        levels[t] = 0.5 * std::log((1 - levels[t]) / levels[t]);
    }
    return levels;
}

double log_level_at(const std::vector<double>& levels, double step)
{
    const auto low = std::min(std::size_t(step), levels.size() - 1);
    const auto high = std::min(low + 1, levels.size() - 1);
    return levels[low] + (step - double(low)) * (levels[high] - levels[low]);
}

const std::vector<std::string>& spacings()
{
    static const std::vector<std::string> names = {"even", "leading", "trailing", "linspace"};
    return names;
}

std::vector<int> spaced_steps(Spacing spacing, int steps, int count, int offset, bool drop_last)
{
    const int extra = drop_last ? 1 : 0;
    if (spacing == Spacing::even)
        count = steps;
    count = std::max(1, std::min(count, steps - extra));
    const int points = count + extra; // rising ones: the first `extra` of them are left out
    std::vector<int> visited;
    for (int i = count - 1; i >= 0; i--) {
        const int k = i + extra;
        double t = k; // nearbyint: halves to the even one, as NumPy rounds
        if (spacing == Spacing::leading)
            t = double(k) * (steps / points) + offset;
        else if (spacing == Spacing::linspace)
            t = std::nearbyint(points > 1 ? double(k) * (double(steps - 1) / (points - 1)) : 0.0);
        else if (spacing == Spacing::trailing)
            t = std::nearbyint(steps - double(count - 1 - i) * (double(steps) / count)) - 1;
        visited.push_back(int(t));
    }
    visited.erase(std::unique(visited.begin(), visited.end()), visited.end());
    return visited;
}

} // namespace core
} // namespace diffsem
} // namespace gr
