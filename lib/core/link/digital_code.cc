/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/link/digital_code.h>

#include <gnuradio/diffsem/core/link/frame_header.h>

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t overhead = 5; // count of the padding, CRC-32
constexpr double symbols_per_bit = 3.2;
constexpr std::size_t extra_symbols = 80;
constexpr std::size_t light = 3; // repetitions of every other information bit
constexpr int iterations = 200;
constexpr float most_soft = 6; // of what was received: codec/digital_part.py says why
constexpr float most_llr = 60, most_message = 30, most_tanh = 0.9999999f;

using Messages = Eigen::ArrayXf;

std::uint32_t crc32(const std::uint8_t* data, std::size_t n)
{
    std::uint32_t reg = 0xFFFFFFFF;
    for (std::size_t i = 0; i < n; i++) {
        reg ^= data[i];
        for (int b = 0; b < 8; b++)
            reg = reg >> 1 ^ (reg & 1 ? 0xEDB88320 : 0);
    }
    return ~reg;
}

// tanh of half a message
template <typename Expression>
Messages half_tanh(const Expression& x)
{
    return (0.5f * x.max(-most_message).min(most_message)).tanh();
}

// 2 artanh, which the logarithm gives in vector instructions
template <typename Expression>
Messages twice_artanh(const Expression& product)
{
    const Messages t = product.max(-most_tanh).min(most_tanh);
    return ((1 + t) / (1 - t)).log();
}

} // namespace

DigitalCode::DigitalCode(int size)
{
    if (size < 0 || size >= sizes)
        throw Error("size is " + std::to_string(size) + ": a digital part has one of " +
                    std::to_string(sizes) + " sizes, give an index below that");
    d_octets = std::size_t(std::lround(12 * std::pow(1.16, size)));
    const std::size_t k = 8 * (d_octets + overhead);
    const auto symbols =
        std::size_t(std::ceil(symbols_per_bit * 8 * double(d_octets + overhead))) + extra_symbols;
    const std::size_t n = 2 * symbols, m = n - k, heavy = k / 2;
    const std::size_t rest = m - light * (k - heavy); // repetitions that the odd bits share
    std::vector<int> repeated;
    repeated.reserve(m);
    for (std::size_t bit = 0; bit < k; bit++)
        repeated.insert(
            repeated.end(), bit % 2 ? rest / heavy + (bit / 2 < rest % heavy) : light, int(bit));
    d_edge.reserve(m);
    for (const int i : scatter(int(m), 1))
        d_edge.push_back(repeated[std::size_t(i)]);
    d_place = scatter(int(n), 0x10001);
}

bool DigitalCode::decode(const std::complex<float>* symbols,
                         const float* noise_var,
                         std::vector<std::uint8_t>& data) const
{
    std::vector<float> soft(2 * uses(), 0.0f);
    for (std::size_t i = 0; i < uses(); i++) {
        const float re = symbols[i].real(), im = symbols[i].imag();
        if (!std::isfinite(noise_var[i]) || !std::isfinite(re) || !std::isfinite(im))
            continue;
        const float weight = float(2 * std::sqrt(2.0)) / std::max(noise_var[i], 1e-6f);
        soft[2 * i] = re * weight;
        soft[2 * i + 1] = im * weight;
    }
    return decode(soft.data(), data);
}

bool DigitalCode::decode(const float* soft, std::vector<std::uint8_t>& data) const
{
    data.clear();
    std::vector<float> llr(d_place.size());
    for (std::size_t i = 0; i < d_place.size(); i++)
        llr[std::size_t(d_place[i])] =
            std::isnan(soft[i]) ? 0 : std::min(std::max(soft[i], -most_soft), most_soft);
    std::vector<std::uint8_t> bits;
    if (!propagate(llr, bits))
        return false;
    std::vector<std::uint8_t> block(d_octets + overhead, 0);
    for (std::size_t i = 0; i < bits.size(); i++)
        block[i / 8] = std::uint8_t(block[i / 8] | bits[i] << i % 8);
    const std::uint32_t crc = crc32(block.data(), d_octets + 1);
    for (std::size_t i = 0; i < 4; i++)
        if (block[d_octets + 1 + i] != (crc >> 8 * i & 0xFF))
            return false;
    if (block[d_octets] > d_octets)
        return false;
    data.assign(block.begin(), block.begin() + std::ptrdiff_t(d_octets - block[d_octets]));
    return true;
}

// Check j joins the parity bits j - 1 and j and the information bit d_edge[j]; own, down and info are its messages
// to parity bit j, parity bit j - 1 and the information bit. The parity bit before the first is a known 0.
bool DigitalCode::propagate(const std::vector<float>& llr, std::vector<std::uint8_t>& bits) const
{
    const auto m = Eigen::Index(d_edge.size()), k = Eigen::Index(llr.size()) - m;
    const Eigen::Map<const Messages> systematic(llr.data(), k), parity(llr.data() + k, m);
    Messages own = Messages::Zero(m), down = Messages::Zero(m + 1), info = Messages::Zero(m);
    Messages total(k), to_info(m), before(m), after(m), a, b, c;
    Eigen::ArrayXd sum(k);
    for (int iteration = 0; iteration < iterations; iteration++) {
        sum.setZero();
        for (Eigen::Index j = 0; j < m; j++)
            sum[d_edge[std::size_t(j)]] += double(info[j]);
        total = (systematic.cast<double>() + sum).cast<float>();
        after = parity + own + down.tail(m);
        bool odd = false, left = false;
        for (Eigen::Index j = 0; j < m && !odd; j++) {
            const bool right = after[j] < 0;
            odd = (total[d_edge[std::size_t(j)]] < 0) ^ right ^ left;
            left = right;
        }
        if (!odd) {
            bits.resize(std::size_t(k));
            for (Eigen::Index i = 0; i < k; i++)
                bits[std::size_t(i)] = total[i] < 0;
            return true;
        }
        for (Eigen::Index j = 0; j < m; j++)
            to_info[j] = total[d_edge[std::size_t(j)]] - info[j];
        before[0] = most_llr;
        before.tail(m - 1) = (parity + own).head(m - 1);
        a = half_tanh(to_info);
        b = half_tanh(before);
        c = half_tanh(parity + down.tail(m));
        info = twice_artanh(b * c);
        own = twice_artanh(a * b);
        down.head(m) = twice_artanh(a * c);
    }
    return false;
}

} // namespace core
} // namespace diffsem
} // namespace gr
