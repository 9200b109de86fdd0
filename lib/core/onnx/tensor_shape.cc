/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "onnx/tensor_shape.h"

#include <utility>

namespace gr {
namespace diffsem {
namespace core {

bool fits(const TensorInfo& info, const std::vector<std::int64_t>& wanted)
{
    if (info.shape.size() != wanted.size() + 1)
        return false;
    for (std::size_t i = 0; i < wanted.size(); ++i)
        if (info.shape[i + 1] != TensorInfo::dynamic && info.shape[i + 1] != wanted[i])
            return false;
    return true;
}

OrtTensor
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

std::string list(const std::vector<std::int64_t>& item)
{
    std::string text = "[batch";
    for (const auto d : item)
        text += ", " + std::to_string(d);
    return text + "]";
}

std::string describe(const OrtTensor& tensor)
{
    TensorInfo info;
    info.name = tensor.name;
    info.type = tensor.type;
    info.has_shape = true;
    info.shape = tensor.shape;
    info.dims.resize(tensor.shape.size());
    return info.describe();
}

} // namespace core
} // namespace diffsem
} // namespace gr
