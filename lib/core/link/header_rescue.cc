/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/frame_header.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr int most_together = 6;
constexpr double skip = 0.5; // prior of one more frame missed, for each
constexpr double any = 1e-3;
constexpr double doubt = 1e-2;
constexpr double clear_change = 28.0; // evidence that another picture begins

} // namespace

bool HeaderTracker::before(const HeaderCode::Evidence& evidence,
                           const FrameHeader& later,
                           double other,
                           FrameHeader& header) const
{
    const int count = later.frames(d_frame_symbols);
    if (count < 1)
        return false;
    const auto earlier = [&](int s) {
        FrameHeader h = later;
        h.index = (later.index + 2 * count - 1 - s) % count;
        return h;
    };
    double sum = 0;
    for (int s = 0; s < count; s++)
        sum += std::pow(skip, s) + any;
    std::vector<double> score;
    for (int s = 0; s < count; s++)
        score.push_back(std::log((std::pow(skip, s) + any) / sum * (1 - other)) +
                        evidence.of(earlier(s)));
    const auto best =
        static_cast<int>(std::max_element(score.begin(), score.end()) - score.begin());
    header = earlier(best);
    double rest = other * std::exp(-score[best]);
    for (int s = 0; s < count; s++)
        if (s != best)
            rest += std::exp(score[s] - score[best]);
    return rest < doubt;
}

bool HeaderTracker::together(const std::vector<HeaderCode::Evidence>& frames,
                             const std::vector<int>& offset,
                             std::vector<FrameHeader>& headers)
{
    const int n = static_cast<int>(frames.size());
    const int from = std::max(0, n - most_together);
    constexpr int indices = 512;
    const int reach = offset[n - 1] - offset[from];
    // What the indices differ in depends on few of the first one's bits: where a carry begins and where it ends.
    std::set<std::vector<int>> tried;
    std::vector<int> bits(n - from);
    bool found = false;
    double best = 0;
    FrameHeader first;
    for (int index = 0; index + reach < indices; index++) {
        for (int i = from; i < n; i++)
            bits[i - from] = index ^ (index + offset[i] - offset[from]);
        if (!tried.insert(bits).second)
            continue;
        HeaderCode::Evidence sum;
        for (int i = from; i < n; i++)
            sum.add(frames[i], bits[i - from]);
        FrameHeader header;
        if (!d_code.decode(sum, header) || header.index + reach >= header.frames(d_frame_symbols))
            continue;
        bool agrees = header.payload_symbols(d_frame_symbols) > 0;
        for (int i = from; i < n; i++)
            agrees &= (header.index ^ (header.index + offset[i] - offset[from])) == bits[i - from];
        const double evidence = sum.of(header);
        if (agrees && (!found || evidence > best)) {
            found = true;
            best = evidence;
            first = header;
        }
    }
    const bool same = d_known && first.same_picture(d_last);
    const double asked =
        (d_known && !same ? clear_change : d_code.clear) + std::log(double(tried.size()));
    if (!found || best < asked || first.index - offset[from] < 0)
        return false;
    headers.clear();
    for (int i = 0; i < n; i++) {
        headers.push_back(first);
        headers.back().index += offset[i] - offset[from];
    }
    d_known = true;
    d_last = headers.back();
    return true;
}

} // namespace core
} // namespace diffsem
} // namespace gr
