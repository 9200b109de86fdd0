/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Octets that are no photograph's: an Error or a plan that holds, never more work than its bounds. (Equality with the
 * NumPy twin: tests/python/test_picture_twin.py.)
 */
#include "check.h"

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/link/digital_code.h>
#include <gnuradio/diffsem/core/picture/picture_plan.h>

#include <numeric>
#include <random>
#include <vector>

using namespace gr::diffsem::core;

namespace {

// The encoder's end of equally likely bits.
class Bits
{
public:
    void put(int value, int count)
    {
        for (int i = count; i-- > 0;) {
            const std::uint32_t split = d_low + ((d_high - d_low) >> 16) * 32768;
            if (value >> i & 1)
                d_high = split;
            else
                d_low = split + 1;
            for (; !((d_low ^ d_high) & 0xFF000000); d_low <<= 8, d_high = d_high << 8 | 0xFF)
                octets.push_back(std::uint8_t(d_high >> 24));
        }
    }
    std::vector<std::uint8_t> finish()
    {
        for (int i = 0; i < 4; i++)
            octets.push_back(std::uint8_t(d_high >> (24 - 8 * i)));
        return octets;
    }
    std::vector<std::uint8_t> octets;

private:
    std::uint32_t d_low = 0, d_high = 0xFFFFFFFF;
};

std::vector<std::uint8_t> head(int model, int block, int rows, int columns, int n_symbols)
{
    Bits bits;
    bits.put(PicturePlan::version, 3);
    bits.put(model, 3);
    bits.put(block, 2);
    bits.put(rows - 1, 12);
    bits.put(columns - 1, 12);
    bits.put(n_symbols, 20);
    return bits.finish();
}

bool holds(const PicturePlan& p)
{
    const auto a = p.allocation();
    const std::size_t all = std::accumulate(a.copies.begin(), a.copies.end(), std::size_t(0));
    bool good = all == 2 * p.n_symbols && a.places.size() == p.n_symbols;
    for (std::size_t k = 0; k < a.order.size(); k++)
        good = good && a.order[k] < 3 * p.rows * p.columns && a.gains[k] > 0 &&
               std::isfinite(a.gains[k]);
    return good;
}

} // namespace

int main()
{
    std::mt19937 random(3);
    int plans = 0, refused = 0, empty = 0;
    for (int i = 0; i < 600; i++) {
        auto data = head(int(random() % 7),
                         int(random() % 3),
                         1 + int(random() % 90),
                         1 + int(random() % 90),
                         int(random() % 3000));
        const std::size_t more = random() % 300;
        for (std::size_t k = 0; k < more; k++)
            data.push_back(std::uint8_t(random()));
        try {
            const auto p = PicturePlan::parse(data.data(), data.size());
            try {
                CHECK(holds(p));
                plans++;
            } catch (const Error&) {
                empty++;
            }
        } catch (const Error&) {
            refused++;
        }
    }
    CHECK(plans > 50);
    CHECK(refused > 50);

    const auto none = [](const std::vector<std::uint8_t>& data) {
        try {
            PicturePlan::parse(data.data(), data.size());
        } catch (const Error& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(none({}).find("format") != std::string::npos);
    CHECK(none(head(1, 2, 4096, 4096, 1000)).find("at most 8388608") != std::string::npos);
    CHECK(none(head(7, 2, 40, 40, 1000)).find("model 7") != std::string::npos);
    CHECK(none(head(1, 3, 40, 40, 1000)).find("block 3") != std::string::npos);

    // Soft bits that no encoder made are no data, and infinities are clipped.
    const DigitalCode code(0);
    std::vector<float> soft(2 * code.uses());
    std::vector<std::uint8_t> data;
    for (float& s : soft)
        s = float(int(random() % 7) - 3);
    CHECK(!code.decode(soft.data(), data) && data.empty());
    for (std::size_t i = 0; i < soft.size(); i++)
        soft[i] = i % 2 ? INFINITY : -INFINITY;
    CHECK(!code.decode(soft.data(), data) && data.empty());
    return check::result("picture");
}
