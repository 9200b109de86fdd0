/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/frame_header.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr int n_bits = FrameHeader::bits;
constexpr int n_coded = 2 * n_bits;
constexpr int n_sent = 2 * FrameHeader::symbols;
constexpr int n_states = 64;

struct Field {
    const char* name;
    int FrameHeader::* member;
    int bits;
};
constexpr Field fields[] = {{"id", &FrameHeader::id, 4},
                            {"total", &FrameHeader::total, 14},
                            {"index", &FrameHeader::index, 9},
                            {"digital", &FrameHeader::digital, 5}};
constexpr int n_fields_bits = 32;
constexpr int max_frames = 512;
constexpr double doubt = 1e-2, doubt_change = 1e-3;
//! Evidence that another picture begins; one false header must not end the one that is known.
constexpr double clear_change = 28.0;
//! Evidence asked for on top, where noise alone has long been heard.
constexpr double most_doubt = 6.0;

using Bits = std::array<std::uint8_t, n_bits>;

// x^8 + x^2 + x + 1, the register starting with ones
int crc8(const Bits& bits)
{
    int reg = 0xFF;
    for (int i = 0; i < n_fields_bits; i++)
        reg = ((reg << 1) ^ ((reg >> 7 ^ bits[i]) & 1 ? 0x07 : 0)) & 0xFF;
    return reg;
}

Bits pack(const FrameHeader& header)
{
    Bits bits{};
    int at = 0;
    for (const auto& f : fields) {
        const int value = header.*f.member;
        if (value < 0 || value >> f.bits)
            throw Error(std::string(f.name) + " is " + std::to_string(value) + ": the header has " +
                        std::to_string(f.bits) + " bits for it, 0.." +
                        std::to_string((1 << f.bits) - 1));
        for (int i = 0; i < f.bits; i++)
            bits[at++] = value >> i & 1;
    }
    const int check = crc8(bits);
    for (int i = 0; i < 8; i++)
        bits[at++] = check >> i & 1;
    return bits;
}

bool unpack(const Bits& bits, FrameHeader& header)
{
    int at = 0;
    for (const auto& f : fields) {
        header.*f.member = 0;
        for (int i = 0; i < f.bits; i++)
            header.*f.member |= bits[at++] << i;
    }
    int check = 0;
    for (int i = 0; i < 8; i++)
        check |= bits[at++] << i;
    return check == crc8(bits);
}

// Samples that are no numbers say nothing, and sums of the largest must stay numbers.
float known(float soft)
{
    constexpr float most = 1e30f;
    return soft > most ? most : soft < -most ? -most : soft == soft ? soft : 0.0f;
}

int parity(int x)
{
    int p = 0;
    for (; x; x &= x - 1)
        p ^= 1;
    return p;
}

constexpr int n_registers = 2 * n_states;

// Both code bits of each register, a + 2 b. The register holds the newest bit in its top one (bit 6): delays 0 2 3 5 6
// and 0 1 2 3 6.
const std::array<std::uint8_t, n_registers>& code_pairs()
{
    static const auto table = [] {
        std::array<std::uint8_t, n_registers> pairs;
        for (int reg = 0; reg < n_registers; reg++)
            pairs[reg] = static_cast<std::uint8_t>(parity(reg & 0x5B) + 2 * parity(reg & 0x79));
        return pairs;
    }();
    return table;
}

using Code = std::array<std::uint8_t, n_coded>;

Code encode(const FrameHeader& header)
{
    const auto& pairs = code_pairs();
    const Bits bits = pack(header);
    int reg = 0;
    for (int i = n_bits - 6; i < n_bits; i++) // the state that it ends in
        reg = reg >> 1 | bits[i] << 6;
    Code code;
    for (int i = 0; i < n_bits; i++) {
        reg = reg >> 1 | bits[i] << 6;
        code[2 * i] = pairs[reg] & 1;
        code[2 * i + 1] = pairs[reg] >> 1;
    }
    return code;
}

} // namespace

std::uint32_t hash32(std::uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x *= 0x846CA68Bu;
    return x ^ (x >> 16);
}

std::vector<int> scatter(int n, std::uint32_t seed)
{
    std::vector<int> order(n);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [seed](int a, int b) {
        return hash32(a + seed) < hash32(b + seed);
    });
    return order;
}

int FrameHeader::payload_symbols(int frame_symbols) const
{
    const int count = frames(frame_symbols);
    return index < count && count <= max_frames ? total / count + (index < total % count) : 0;
}

HeaderCode::HeaderCode() : d_place(scatter(n_sent, 0x20001))
{
    for (int i = 0; i < n_sent; i++) {
        d_place[i] %= n_coded;
        d_flip[i] = hash32(i + 0x30001u) & 1 ? -1.0f : 1.0f;
    }
}

std::array<cfloat, FrameHeader::symbols> HeaderCode::modulate(const FrameHeader& header) const
{
    const Code code = encode(header);
    const auto sign = [&](int i) { return code[d_place[i]] ? -d_flip[i] : d_flip[i]; };
    std::array<cfloat, FrameHeader::symbols> out;
    for (int i = 0; i < FrameHeader::symbols; i++)
        out[i] = std::sqrt(0.5f) * cfloat(sign(2 * i), sign(2 * i + 1));
    return out;
}

HeaderCode::Evidence HeaderCode::weigh(const HeaderSoftBits& soft) const
{
    // log P(soft | header) - log P(soft | random bits): the part that is the same for all headers, and ratios by code
    // bit.
    Evidence out;
    out.common = n_sent * std::log(2.0);
    for (int i = 0; i < n_sent; i++) {
        const float value = known(soft[i]);
        const double half = std::fabs(0.5 * double(value));
        out.common -= half + std::log1p(std::exp(-2 * half));
        out.ratio[d_place[i]] += value * d_flip[i];
    }
    return out;
}

double HeaderCode::Evidence::of(const FrameHeader& header) const
{
    const Code code = encode(header);
    double sum = common;
    for (int i = 0; i < n_coded; i++)
        sum += code[i] ? -0.5 * ratio[i] : 0.5 * ratio[i];
    return sum;
}

// The code is linear: code words of one picture differ by that of what their indices differ in.
void HeaderCode::Evidence::add(const Evidence& other, int index_bits)
{
    const Code turned = encode({0, 0, index_bits, 0}), zero = encode({});
    common += other.common;
    for (int i = 0; i < n_coded; i++)
        ratio[i] += turned[i] != zero[i] ? -other.ratio[i] : other.ratio[i];
}

bool HeaderCode::decode(const Evidence& evidence, FrameHeader& header) const
{
    const auto& pairs = code_pairs();
    // Three times around the circle: the middle is decoded with its past and its future.
    constexpr int steps = 3 * n_bits;
    std::array<std::array<std::uint8_t, n_states>, steps> from; // the bit that left the register
    std::array<float, n_states> metric{}, next;
    for (int t = 0; t < steps; t++) {
        const auto a = static_cast<float>(evidence.ratio[2 * (t % n_bits)]);
        const auto b = static_cast<float>(evidence.ratio[2 * (t % n_bits) + 1]);
        const std::array<float, 4> branch{a + b, b - a, a - b, -a - b};
        for (int state = 0; state < n_states; state++) {
            // reached from the registers 2 state and 2 state + 1, whose newest bit is its own
            const int reg = 2 * state, before = reg % n_states;
            const float zero = metric[before] + branch[pairs[reg]];
            const float one = metric[before + 1] + branch[pairs[reg + 1]];
            from[t][state] = one > zero;
            next[state] = std::max(zero, one);
        }
        metric = next;
    }
    int state = static_cast<int>(std::max_element(metric.begin(), metric.end()) - metric.begin());
    Bits bits{};
    for (int t = steps - 1; t >= n_bits; t--) {
        if (t < 2 * n_bits)
            bits[t - n_bits] = static_cast<std::uint8_t>(state >> 5);
        state = (2 * state + from[t][state]) % n_states;
    }
    return unpack(bits, header) && evidence.of(header) > clear;
}

bool HeaderCode::decode(const HeaderSoftBits& soft, FrameHeader& header) const
{
    return decode(weigh(soft), header);
}

double HeaderCode::evidence(const HeaderSoftBits& soft, const FrameHeader& header) const
{
    return weigh(soft).of(header);
}

bool HeaderTracker::decode(const HeaderSoftBits& soft,
                           FrameHeader& header,
                           bool& expected,
                           double other)
{
    expected = false;
    const auto evidence = d_code.weigh(soft);
    bool decoded = d_code.decode(evidence, header) && header.payload_symbols(d_frame_symbols) > 0;
    if (decoded && !(d_known && header.same_picture(d_last))) {
        // Bayes would ask for all of -log(1 - other); faint frames behind a long silence should come back
        const double noise = std::min(-std::log1p(-other), most_doubt);
        decoded = evidence.of(header) > (d_known ? clear_change : d_code.clear + noise);
    }
    if (!decoded) {
        expected = d_known && recognise(evidence, other, header);
        if (!expected)
            return false;
    }
    d_known = true;
    d_last = header;
    return true;
}

std::vector<HeaderTracker::Candidate> HeaderTracker::candidates() const
{
    constexpr double skip = 0.5; // prior of one more frame missed, for each
    constexpr double any = 1e-3;
    constexpr int first_frames = 4;   // of the next picture
    constexpr double same_size = 0.5; // of its digital part
    constexpr int n_sizes = 1 << 5;
    const int count = d_last.frames(d_frame_symbols);
    const int left = count - 1 - d_last.index;
    std::vector<Candidate> out;
    double sum = 0;
    const auto consider = [&](int id, int index, int digital, double prior) {
        out.push_back({{id, d_last.total, index, digital}, prior});
        sum += prior;
    };
    for (int s = 0; s < count; s++)
        consider(
            d_last.id, (d_last.index + 1 + s) % count, d_last.digital, std::pow(skip, s) + any);
    for (int index = 0; index < std::min(count, first_frames); index++)
        for (int digital = 0; digital < n_sizes; digital++)
            consider((d_last.id + 1) % 16,
                     index,
                     digital,
                     (std::pow(skip, left + index) + any) *
                         (digital == d_last.digital ? same_size : (1 - same_size) / (n_sizes - 1)));
    for (auto& c : out)
        c.prior /= sum;
    return out;
}

bool HeaderTracker::recognise(const HeaderCode::Evidence& evidence,
                              double other,
                              FrameHeader& header) const
{
    auto all = candidates();
    const Candidate* best = nullptr;
    for (auto& c : all) {
        c.prior = std::log(c.prior * (1 - other)) + evidence.of(c.header);
        if (!best || c.prior > best->prior)
            best = &c;
    }
    double rest = other * std::exp(-best->prior);
    for (const auto& c : all)
        if (&c != best)
            rest += std::exp(c.prior - best->prior);
    header = best->header;
    return rest < (header.same_picture(d_last) ? doubt : doubt_change);
}

} // namespace core
} // namespace diffsem
} // namespace gr
