/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "onnx/onnx_layout.h"

#include <algorithm>
#include <cmath>

namespace gr {
namespace diffsem {
namespace core {

namespace {

// As it is in memory, floats or pairs of them.
bool same(Layout layout, Domain domain)
{
    return domain == Domain::real || layout == Layout::interleaved;
}

std::size_t width(Domain domain, std::size_t elements)
{
    return elements * (domain == Domain::complex ? 2 : 1);
}

} // namespace

void to_layout(Layout layout, Domain domain, std::size_t elements, const float* item, float* graph)
{
    if (same(layout, domain)) {
        std::copy(item, item + width(domain, elements), graph);
        return;
    }
    for (std::size_t e = 0; e < elements; ++e) {
        const float re = item[2 * e], im = item[2 * e + 1];
        const bool polar = layout == Layout::magnitude_phase;
        graph[e] = polar ? std::hypot(re, im) : re;
        graph[elements + e] = polar ? std::atan2(im, re) : im;
    }
}

void from_layout(Layout layout,
                 Domain domain,
                 std::size_t elements,
                 const float* graph,
                 float* item)
{
    if (same(layout, domain)) {
        std::copy(graph, graph + width(domain, elements), item);
        return;
    }
    for (std::size_t e = 0; e < elements; ++e) {
        const float first = graph[e], second = graph[elements + e];
        const bool polar = layout == Layout::magnitude_phase;
        item[2 * e] = polar ? first * std::cos(second) : first;
        item[2 * e + 1] = polar ? first * std::sin(second) : second;
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
