/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/dvbt_layout.h>

#include <gnuradio/diffsem/core/base/error.h>

#include <string>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t repeats_after = 1704; // carriers, in the 8k mode

// Of the 2k mode: tables 7 and 8.
constexpr std::size_t continual_2k[] = {
    0,   48,   54,   87,   141,  156,  192,  201,  255,  279,  282,  333,  432,  450, 483,
    525, 531,  618,  636,  714,  759,  765,  780,  804,  873,  888,  918,  939,  942, 969,
    984, 1050, 1101, 1107, 1110, 1137, 1140, 1146, 1206, 1269, 1323, 1377, 1491, 1683};
constexpr std::size_t tps_2k[] =
    {34, 50, 209, 346, 413, 569, 595, 688, 790, 901, 1073, 1219, 1262, 1286, 1469, 1594, 1687};

template <typename Places>
std::vector<std::size_t> repeated(const Places& places, std::size_t times)
{
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < times; i++)
        for (const auto k : places)
            out.push_back(k + repeats_after * i);
    return out;
}

} // namespace

DvbtLayout::DvbtLayout(int fft_len_) : fft_len(static_cast<std::size_t>(fft_len_))
{
    if (fft_len_ != 2048 && fft_len_ != 8192)
        throw Error("fft_length is " + std::to_string(fft_len_) +
                    ": DVB-T has 2048 (2k mode) and 8192 (8k mode)");
    const std::size_t times = fft_len / 2048;
    carriers = repeats_after * times + 1;
    first = fft_len / 2 - (carriers - 1) / 2;
    columns = (carriers - 1) / spacing + 1;
    continual = repeated(continual_2k, times);
    continual.push_back(carriers - 1);
    tps = repeated(tps_2k, times);
    // 4.5.2: x^11 + x^2 + 1 from all ones.
    std::vector<int> w(carriers, 1);
    for (std::size_t k = 11; k < carriers; k++)
        w[k] = w[k - 11] ^ w[k - 9];
    for (const int bit : w)
        pilot.push_back(bit ? -4.0f / 3 : 4.0f / 3);
    for (std::size_t phase = 0; phase < phases; phase++) {
        std::vector<char> taken(carriers, 0);
        for (std::size_t k = spacing * phase; k < carriers; k += spacing * phases)
            taken[k] = 1;
        for (const auto& places : {continual, tps})
            for (const auto k : places)
                taken[k] = 1;
        for (std::size_t k = 0; k < carriers; k++)
            if (!taken[k])
                data[phase].push_back(k);
    }
}

} // namespace core
} // namespace diffsem
} // namespace gr
