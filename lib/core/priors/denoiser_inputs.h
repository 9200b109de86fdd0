/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A denoiser's inputs against what is said of them. Private.
 */
#pragma once

#include "priors/denoiser_spec.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Whether the graph's shape can be `wanted` (both with a leading batch, which is not compared).
inline bool fits(const TensorInfo& info, const std::vector<std::int64_t>& wanted)
{
    if (info.shape.size() != wanted.size() + 1)
        return false;
    for (std::size_t i = 0; i < wanted.size(); ++i)
        if (info.shape[i + 1] != TensorInfo::dynamic && info.shape[i + 1] != wanted[i])
            return false;
    return true;
}

inline OrtTensor
with_batch(const TensorInfo& info, std::vector<std::int64_t> item, std::size_t fixed_batch)
{
    item.insert(item.begin(),
                fixed_batch ? static_cast<std::int64_t>(fixed_batch) : TensorInfo::dynamic);
    OrtTensor t;
    t.name = info.name;
    t.type = info.type;
    t.shape = std::move(item);
    return t;
}

inline std::string list(const std::vector<std::int64_t>& shape)
{
    std::string text = "[batch";
    for (const auto d : shape)
        text += ", " + std::to_string(d);
    return text + "]";
}

//! What stands behind x and the level: each input is a condition, each condition an input. Throws Error.
void read_conditions(const OnnxFile& file, const Json& said, DenoiserSpec& spec);

} // namespace core
} // namespace diffsem
} // namespace gr
