/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/demap.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr float far = std::numeric_limits<float>::max();

// Level of an axis from its bits, IEEE 802.11: Gray code in ascending order of the level.
float gray_level(int label, int bits)
{
    int position = 0;
    for (int b = label; b; b >>= 1)
        position ^= b;
    return static_cast<float>(2 * position - (1 << bits) + 1);
}

} // namespace

std::vector<cfloat> constellation_points(const std::string& name)
{
    int per_axis = 0;
    if (name == "bpsk")
        return {-1.0f, 1.0f};
    if (name == "qpsk")
        per_axis = 1;
    else if (name == "16qam")
        per_axis = 2;
    else if (name == "64qam")
        per_axis = 3;
    else
        throw Error("constellation is '" + name +
                    "': give one of bpsk, qpsk, 16qam, 64qam, or a digital.constellation");
    const int levels = 1 << per_axis;
    std::vector<cfloat> points;
    const float scale = std::sqrt(1.5f / (levels * levels - 1)); // mean of |x|^2 is 2 (L^2 - 1)/3
    for (int v = 0; v < levels * levels; v++)
        points.push_back(
            scale * cfloat(gray_level(v >> per_axis, per_axis), gray_level(v % levels, per_axis)));
    return points;
}

MaxLogDemapper::MaxLogDemapper(const std::vector<cfloat>& points, bool lsb_first)
    : d_lsb_first(lsb_first),
      d_points(points)
{
    while ((std::size_t(1) << d_bits) < points.size())
        d_bits++;
    if (points.size() < 2 || (std::size_t(1) << d_bits) != points.size() || d_bits > max_bits)
        throw Error("constellation has " + std::to_string(points.size()) +
                    " points: give 2, 4, 8 ... 256, one for each pattern of bits");
    double power = 0;
    for (auto p : points)
        power += std::norm(p);
    d_power = static_cast<float>(power / points.size());
    d_separable = separate();
}

bool MaxLogDemapper::separate()
{
    int mask[2] = {0, 0};
    const float tolerance = 1e-4f * std::sqrt(d_power);
    for (int bit = 0; bit < d_bits; bit++)
        for (std::size_t v = 0; v < d_points.size(); v++) {
            const cfloat step = d_points[v] - d_points[v ^ (std::size_t(1) << bit)];
            mask[0] |= (std::abs(step.real()) > tolerance) << bit;
            mask[1] |= (std::abs(step.imag()) > tolerance) << bit;
        }
    if (mask[0] & mask[1])
        return false;
    for (int a = 0; a < 2; a++) {
        for (int bit = 0; bit < d_bits; bit++)
            if (mask[a] >> bit & 1)
                d_axis[a].bits.push_back(bit);
        for (std::size_t v = 0; v < d_points.size(); v++)
            if (!(v & ~std::size_t(mask[a]))) {
                d_axis[a].label.push_back(static_cast<int>(v));
                d_axis[a].level.push_back(a ? d_points[v].imag() : d_points[v].real());
            }
    }
    return true;
}

void MaxLogDemapper::search(const Axis& axis, float y, Minima& least)
{
    for (int bit : axis.bits)
        least[bit] = {far, far};
    for (std::size_t i = 0; i < axis.level.size(); i++) {
        const float e = y - axis.level[i], distance = e * e;
        for (int bit : axis.bits) {
            float& m = least[bit][axis.label[i] >> bit & 1];
            m = std::min(m, distance);
        }
    }
}

void MaxLogDemapper::run(const cfloat* y,
                         const float* noise,
                         std::size_t n,
                         float scale,
                         float clip,
                         float* llr) const
{
    Minima least;
    const float most = clip > 0 ? clip : far; // an infinite one would become NaN in a decoder
    for (std::size_t i = 0; i < n; i++, llr += d_bits) {
        const float v = noise[i];
        if (!(v > 0) || !std::isfinite(v) || !std::isfinite(y[i].real()) ||
            !std::isfinite(y[i].imag())) {
            std::fill(llr, llr + d_bits, 0.0f);
            continue;
        }
        if (d_separable) {
            search(d_axis[0], y[i].real(), least);
            search(d_axis[1], y[i].imag(), least);
        } else {
            least.fill({far, far});
            for (std::size_t p = 0; p < d_points.size(); p++) {
                const float distance = std::norm(y[i] - d_points[p]);
                for (int bit = 0; bit < d_bits; bit++) {
                    float& m = least[bit][p >> bit & 1];
                    m = std::min(m, distance);
                }
            }
        }
        for (int b = 0; b < d_bits; b++) {
            const int bit = d_lsb_first ? b : d_bits - 1 - b;
            const float l = scale * (least[bit][0] - least[bit][1]) / v;
            llr[b] = std::max(-most, std::min(most, l));
        }
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
