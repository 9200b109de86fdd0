/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Explicit tables: a static library may drop objects that only register themselves. Samplers and
 * plans stand beside their functions, in sampler.cc and plan.cc.
 */
#include "base/names.h"
#include "scheme/scheme_impl.h"

#include <vector>

namespace gr {
namespace diffsem {
namespace core {

const std::vector<StartEntry>& starts()
{
    static const std::vector<StartEntry> table = {
        {"matched", true, false, false},
        {"noise", false, false, true},
        {"level", true, true, false},
        {"renoise", false, true, true},
    };
    return table;
}

const StartEntry& find_start(const std::string& name)
{
    for (const auto& s : starts())
        if (name == s.name)
            return s;
    throw Error("start '" + name + "' is unknown" + suggestion(name, start_names()));
}

std::vector<std::string> prior_names()
{
    return {"onnx", "gaussian", "gmm", "none"};
}

std::vector<std::string> operator_names()
{
    return {"identity", "mask", "matrix", "transform"};
}

std::vector<std::string> start_names()
{
    std::vector<std::string> names;
    for (const auto& s : starts())
        names.push_back(s.name);
    return names;
}

std::vector<std::string> sampler_names()
{
    std::vector<std::string> names;
    for (const auto& s : samplers())
        names.push_back(s.name);
    return names;
}

} // namespace core
} // namespace diffsem
} // namespace gr
