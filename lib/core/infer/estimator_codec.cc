/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From the latent that was inferred to the content.
 */
#include "infer/estimator_impl.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace gr {
namespace diffsem {
namespace core {

std::size_t Estimator::content_size() const
{
    return d->d_codec ? d->d_codec->content_size() : 0;
}

void Estimator::decode(const float* mean, std::size_t items, float* content, ItemInfo* info) const
{
    const std::size_t size = content_size();
    if (!size)
        throw Error("scheme '" + d->d_info.spec + "' has no codec: its mean is the content");
    using clock = std::chrono::steady_clock;
    const auto began = clock::now();
    bool failed = false;
    try {
        d->d_codec->decode(mean, items, content);
    } catch (const std::exception&) {
        failed = true;
    }
    const double took = std::chrono::duration<double>(clock::now() - began).count();
    const std::size_t width = d->d_n * (d->d_info.complex_domain ? 2 : 1);
    const auto finite = [](const float* from, std::size_t count) {
        return std::all_of(from, from + count, [](float v) { return std::isfinite(v); });
    };
    for (std::size_t b = 0; b < items; b++) {
        float* item = content + b * size;
        if (info)
            info[b].seconds += took;
        // What is not finite may well decode to something that is.
        if (!failed && finite(item, size) && finite(mean + b * width, width))
            continue;
        std::fill(item, item + size, 0.0f);
        if (!info)
            continue;
        info[b].reason = info[b].bypassed ? info[b].reason : "decoder";
        info[b].bypassed = true;
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
