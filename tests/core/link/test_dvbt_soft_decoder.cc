/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * DVB-T's inner decoder against a sender written from EN 300 744, stage by stage in the direction that the standard goes.
 */
#include "check.h"

#include <gnuradio/diffsem/core/link/dvbt_soft_decoder.h>

#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

using namespace gr::diffsem::core;

namespace {

using Bits = std::vector<int>;

constexpr const char* sent_x[] = {"1", "10", "101", "10101", "1000101"}; // table 3
constexpr const char* sent_y[] = {"1", "11", "110", "11010", "1111010"};

class Sender
{
public:
    Sender(std::size_t cells, int bits, int rate)
        : d_cells(cells),
          d_bits(std::size_t(bits)),
          d_x(sent_x[rate]),
          d_y(sent_y[rate])
    {
    }

    //! Bits that make one symbol.
    std::size_t needs() const
    {
        std::size_t n = 0;
        for (std::size_t i = 0; i < d_x.size(); i++)
            n += std::size_t((d_x[i] == '1') + (d_y[i] == '1'));
        return d_cells * d_bits / n * d_x.size();
    }

    std::vector<cfloat> symbol(const Bits& bits, int index)
    {
        const Bits code = coded(bits);
        // Demultiplexer: x[di] goes to b[e][do]; bit interleaver: a[e][w] = b[e][(w + shift) mod 126].
        constexpr std::size_t shifts[] = {0, 63, 105, 42, 21, 84};
        std::vector<Bits> a(d_bits, Bits(d_cells)), b = a;
        for (std::size_t d = 0; d < code.size(); d++)
            b[d % d_bits / (d_bits / 2) + 2 * (d % (d_bits / 2))][d / d_bits] = code[d];
        for (std::size_t e = 0; e < d_bits; e++)
            for (std::size_t w = 0; w < d_cells; w++)
                a[e][w] = b[e][w / 126 * 126 + (w % 126 + shifts[e]) % 126];
        const auto order = dvbt_cell_order(d_cells);
        std::vector<cfloat> y(d_cells);
        for (std::size_t q = 0; q < d_cells; q++)
            if (index % 2)
                y[q] = point(a, order[q]);
            else
                y[order[q]] = point(a, q);
        return y;
    }

private:
    Bits coded(const Bits& bits)
    {
        Bits out;
        for (std::size_t t = 0; t < bits.size(); t++) {
            d_past.insert(d_past.begin(), bits[t]);
            d_past.resize(7);
            const auto& p = d_past;
            if (d_x[t % d_x.size()] == '1') // 171
                out.push_back(p[0] ^ p[1] ^ p[2] ^ p[3] ^ p[6]);
            if (d_y[t % d_y.size()] == '1') // 133
                out.push_back(p[0] ^ p[2] ^ p[3] ^ p[5] ^ p[6]);
        }
        return out;
    }
    // Figure 9: of each axis the first bit is the sign, then 7 5 3 1 are 00 01 11 10, or 3 1 are 0 1.
    cfloat point(const std::vector<Bits>& a, std::size_t w) const
    {
        float part[2];
        for (std::size_t axis = 0; axis < 2; axis++) {
            int size = 1;
            if (d_bits == 4)
                size = a[2 + axis][w] ? 1 : 3;
            if (d_bits == 6)
                size = a[2 + axis][w] ? (a[4 + axis][w] ? 3 : 1) : (a[4 + axis][w] ? 5 : 7);
            part[axis] = float(a[axis][w] ? -size : size);
        }
        const float power = d_bits == 2 ? 2 : d_bits == 4 ? 10 : 42;
        return cfloat(part[0], part[1]) / std::sqrt(power);
    }

    std::size_t d_cells, d_bits;
    std::string d_x, d_y;
    Bits d_past = Bits(7, 0);
};

Bits random_bits(std::mt19937& random, std::size_t n)
{
    Bits out(n);
    for (auto& b : out)
        b = int(random() & 1);
    return out;
}

std::vector<std::uint8_t> octets(const Bits& bits)
{
    std::vector<std::uint8_t> out(bits.size() / 8);
    for (std::size_t i = 0; i < 8 * out.size(); i++)
        out[i / 8] = std::uint8_t(out[i / 8] << 1 | bits[i]);
    return out;
}

std::vector<std::uint8_t> popped(DvbtSoftDecoder& decoder)
{
    std::vector<std::uint8_t> out(decoder.available());
    decoder.pop(out.data(), out.size());
    return out;
}

void every_mode_is_decoded()
{
    std::mt19937 random(1);
    for (const std::size_t cells : {1512u, 6048u})
        for (const int bits : {2, 4, 6})
            for (int rate = 0; rate < 5; rate++) {
                Sender sender(cells, bits, rate);
                DvbtSoftDecoder decoder(cells, bits, DvbtSoftDecoder::Rate(rate));
                decoder.restart();
                Bits sent;
                std::vector<std::uint8_t> got;
                for (int index = 0; index < 3; index++) {
                    const Bits now = random_bits(random, sender.needs());
                    sent.insert(sent.end(), now.begin(), now.end());
                    const std::vector<float> noise(cells, 0.1f);
                    decoder.push(sender.symbol(now, index).data(), noise.data(), index);
                    const auto some = popped(decoder);
                    got.insert(got.end(), some.begin(), some.end());
                }
                CHECK(decoder.waiting());
                decoder.end();
                const auto rest = popped(decoder);
                got.insert(got.end(), rest.begin(), rest.end());
                CHECK(!decoder.waiting());
                CHECK_EQUAL(got.size(), std::size_t(3 * decoder.octets_each()));
                CHECK(got == octets(sent));
            }
}

void orders_are_permutations()
{
    for (const std::size_t cells : {1512u, 6048u}) {
        const auto order = dvbt_cell_order(cells);
        const std::set<std::size_t> all(order.begin(), order.end());
        CHECK_EQUAL(all.size(), cells);
        CHECK_EQUAL(*all.rbegin(), cells - 1);
    }
    CHECK_THROWS(dvbt_cell_order(1000), {"1000", "1512"});
    CHECK_THROWS(dvbt_points(3), {"3 bits"});
}

// Wrong bits of Rayleigh fading at this SNR, the noise of each cell told or the mean for all.
std::size_t wrong_bits(double snr_db, bool told)
{
    std::mt19937 random(2);
    std::normal_distribution<float> normal(0, float(std::sqrt(0.5)));
    Sender sender(1512, 2, 0);
    DvbtSoftDecoder decoder(1512, 2, DvbtSoftDecoder::rate_1_2);
    decoder.restart();
    Bits sent;
    std::vector<float> noise(1512);
    const auto spread = float(std::pow(10, -snr_db / 20));
    for (int index = 0; index < 40; index++) {
        const Bits now = random_bits(random, sender.needs());
        sent.insert(sent.end(), now.begin(), now.end());
        auto y = sender.symbol(now, index);
        for (std::size_t q = 0; q < y.size(); q++) {
            const cfloat h(normal(random), normal(random));
            y[q] += spread * cfloat(normal(random), normal(random)) / h;
            noise[q] = told ? spread * spread / std::norm(h) : 1;
        }
        decoder.push(y.data(), noise.data(), index);
    }
    decoder.end();
    const auto got = popped(decoder), right = octets(sent);
    CHECK_EQUAL(got.size(), right.size());
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < right.size(); i++)
        for (unsigned d = got[i] ^ right[i]; d; d &= d - 1)
            wrong++;
    return wrong;
}

// The code has free distance 10, of which hard decisions in fading leave half.
void noise_of_each_cell_counts()
{
    const std::size_t told = wrong_bits(7, true), not_told = wrong_bits(7, false);
    CHECK_BELOW(double(told), 60480 * 2e-4);
    CHECK_BELOW(20.0 * double(told), double(not_told));
}

void what_is_not_known_costs_little()
{
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    constexpr float inf = std::numeric_limits<float>::infinity();
    std::mt19937 random(3);
    Sender sender(1512, 4, 0);
    DvbtSoftDecoder decoder(1512, 4, DvbtSoftDecoder::rate_1_2);
    decoder.restart();
    Bits sent;
    for (int index = 0; index < 4; index++) {
        const Bits now = random_bits(random, sender.needs());
        sent.insert(sent.end(), now.begin(), now.end());
        auto y = sender.symbol(now, index);
        std::vector<float> noise(1512, 0.01f);
        for (std::size_t q = 0; q + 4 < y.size(); q += 20) {
            y[q] = cfloat(nan, 0);
            noise[q + 1] = inf;
            noise[q + 2] = q % 40 ? nan : 0;
            y[q + 3] = cfloat(1e30f, -1e30f);
            noise[q + 3] = 1e30f;
        }
        decoder.push(y.data(), noise.data(), index);
    }
    decoder.end();
    auto got = popped(decoder), right = octets(sent);
    got.pop_back(); // whose bits no later ones speak for
    right.pop_back();
    CHECK(got == right);
}

void another_superframe_begins_it_anew()
{
    std::mt19937 random(4);
    Sender sender(1512, 2, 2);
    DvbtSoftDecoder decoder(1512, 2, DvbtSoftDecoder::rate_3_4);
    const std::vector<float> noise(1512, 0.1f);
    for (int part = 0; part < 2; part++) {
        decoder.restart();
        const Bits sent = random_bits(random, sender.needs()); // 2268 bits: half an octet too many
        decoder.push(sender.symbol(sent, 0).data(), noise.data(), 0);
        decoder.end();
        CHECK(popped(decoder) == octets(sent));
    }
    decoder.push(sender.symbol(random_bits(random, sender.needs()), 1).data(), noise.data(), 1);
    decoder.begin();
    CHECK(!decoder.available() && !decoder.waiting());
}

} // namespace

int main()
{
    orders_are_permutations();
    every_mode_is_decoded();
    noise_of_each_cell_counts();
    what_is_not_known_costs_little();
    another_superframe_begins_it_anew();
    return check::result("test_dvbt_soft_decoder");
}
