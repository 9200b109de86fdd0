/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Counter-based noise: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011). A sample is a function of where it is used, so batch, threads and chunks cannot change it.
 *
 * Layout (the NumPy twin follows it to float rounding):
 *   key     k0, k1 = low, high word of seed + 0x9E3779B97F4A7C15 * stream  (mod 2^64)
 *   counter c0 = block of four words within the item,  c1 = step,  c2, c3 = low, high word of item
 *   item    index of the item in the stream;  step 0 is the start, k + 1 the step leaving level k
 *   words   w0..w3 give four normals by Box-Muller, in double precision:
 *           u_i = (w_i + 0.5) 2^-32;  r = sqrt(-2 ln u_0);  n_0 = r cos(2 pi u_1);  n_1 = r sin(2 pi u_1)
 *           and n_2, n_3 alike from w2, w3
 *   real element e is n_(e mod 4) of block e / 4;
 *   complex element e is (n_(2 (e mod 2)) + i n_(2 (e mod 2) + 1)) / sqrt(2) of block e / 2: E|.|^2 = 1
 */
#pragma once

#include <gnuradio/diffsem/core/base/tensor.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace gr {
namespace diffsem {
namespace core {

using philox_words = std::array<std::uint32_t, 4>;

inline philox_words philox4x32(philox_words c, std::uint32_t k0, std::uint32_t k1)
{
    for (int round = 0; round < 10; round++) {
        const std::uint64_t p0 = std::uint64_t(0xD2511F53u) * c[0];
        const std::uint64_t p1 = std::uint64_t(0xCD9E8D57u) * c[2];
        c = {std::uint32_t(p1 >> 32) ^ c[1] ^ k0,
             std::uint32_t(p1),
             std::uint32_t(p0 >> 32) ^ c[3] ^ k1,
             std::uint32_t(p0)};
        k0 += 0x9E3779B9u; // Weyl sequence of the key schedule
        k1 += 0xBB67AE85u;
    }
    return c;
}

class Rng
{
public:
    explicit Rng(std::uint64_t seed = 0, std::uint64_t stream = 0)
        : d_key(seed + 0x9E3779B97F4A7C15ull * stream)
    {
    }

    //! Four standard normals of one block.
    std::array<double, 4> normals(std::uint64_t item, std::uint32_t step, std::uint32_t block) const
    {
        const philox_words w =
            philox4x32({block, step, std::uint32_t(item), std::uint32_t(item >> 32)},
                       std::uint32_t(d_key),
                       std::uint32_t(d_key >> 32));
        std::array<double, 4> n;
        for (int i = 0; i < 4; i += 2) {
            const double r = std::sqrt(-2.0 * std::log(uniform(w[i])));
            const double phase = 2.0 * 3.14159265358979323846 * uniform(w[i + 1]);
            n[i] = r * std::cos(phase);
            n[i + 1] = r * std::sin(phase);
        }
        return n;
    }

    //! Unit-variance noise of one item: count elements of the domain, interleaved if complex.
    void
    fill(std::uint64_t item, std::uint32_t step, Domain domain, std::size_t count, float* out) const
    {
        const std::size_t width = domain == Domain::complex ? 2 * count : count;
        const double scale = domain == Domain::complex ? std::sqrt(0.5) : 1.0;
        for (std::size_t i = 0; i < width; i += 4) {
            const auto n = normals(item, step, std::uint32_t(i / 4));
            for (std::size_t j = 0; j < 4 && i + j < width; j++)
                out[i + j] = static_cast<float>(scale * n[j]);
        }
    }

private:
    static double uniform(std::uint32_t w) { return (w + 0.5) * (1.0 / 4294967296.0); }
    std::uint64_t d_key;
};

} // namespace core
} // namespace diffsem
} // namespace gr
