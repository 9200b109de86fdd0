/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The header of a frame: what fits, what survives noise, what is recognised, and what noise is taken for.
 */
#include "check.h"

#include <gnuradio/diffsem/core/link/frame_header.h>

#include <random>
#include <set>

using namespace gr::diffsem::core;

namespace {

struct Noise {
    std::mt19937 engine{5};
    std::normal_distribution<float> normal;

    HeaderSoftBits soft(const std::array<cfloat, FrameHeader::symbols>& sent, float noise_var)
    {
        const float deviation = std::sqrt(noise_var / 2);
        HeaderSoftBits out;
        for (int i = 0; i < FrameHeader::symbols; i++) {
            const float scale = 2 * std::sqrt(2.0f) / noise_var;
            out[2 * i] = scale * (sent[i].real() + deviation * normal(engine));
            out[2 * i + 1] = scale * (sent[i].imag() + deviation * normal(engine));
        }
        return out;
    }
};

FrameHeader header(int id, int total, int index, int digital)
{
    FrameHeader h;
    h.id = id;
    h.total = total;
    h.index = index;
    h.digital = digital;
    return h;
}

int decoded_of(int count, float snr_db)
{
    const HeaderCode code;
    Noise noise;
    int good = 0;
    for (int i = 0; i < count; i++) {
        const auto sent = header(i % 16, 1 + 97 * i % 16383, i % 512, i % 32);
        FrameHeader got;
        if (code.decode(noise.soft(code.modulate(sent), std::pow(10.0f, -snr_db / 10)), got))
            good += got == sent;
    }
    return good;
}

void scatter_is_a_permutation()
{
    for (int n : {1, 2, 192, 5000}) {
        const auto order = scatter(n, 7);
        const std::set<int> all(order.begin(), order.end());
        CHECK_EQUAL(static_cast<int>(all.size()), n);
        CHECK(*all.begin() == 0 && *all.rbegin() == n - 1);
    }
    CHECK(scatter(192, 7) != scatter(192, 8));
}

void every_field_comes_through()
{
    const HeaderCode code;
    Noise noise;
    for (const auto& sent :
         {header(0, 0, 0, 0), header(15, 16383, 511, 31), header(5, 512, 9, 17)}) {
        double power = 0;
        for (const auto& v : code.modulate(sent))
            power += std::norm(v) / FrameHeader::symbols;
        CHECK_NEAR(power, 1.0, 1e-5);
        FrameHeader got;
        CHECK(code.decode(noise.soft(code.modulate(sent), 0.01f), got));
        CHECK(got == sent);
    }
    CHECK_THROWS(code.modulate(header(16, 1, 0, 0)), {"id is 16", "0..15"});
    CHECK_THROWS(code.modulate(header(0, 1, -1, 0)), {"index is -1"});
}

void frames_share_a_picture()
{
    int sum = 0;
    const int total = 513;
    for (int i = 0; i < header(0, total, 0, 0).frames(50); i++) {
        const int n = header(0, total, i, 0).payload_symbols(50);
        CHECK(n == 46 || n == 47);
        sum += n;
    }
    CHECK_EQUAL(sum, total);
    CHECK_EQUAL(header(0, total, 11, 0).payload_symbols(50), 0);
    CHECK_EQUAL(header(0, 0, 0, 0).payload_symbols(50), 0);
}

void noise_is_no_header()
{
    const HeaderCode code;
    Noise noise;
    int accepted = 0;
    for (int i = 0; i < 3000; i++) {
        FrameHeader got;
        accepted += code.decode(noise.soft({}, i % 2 ? 1.0f : 4.0f), got);
    }
    CHECK_BELOW(accepted, 4);
}

void headers_are_recognised_where_they_cannot_be_decoded()
{
    Noise noise;
    HeaderTracker tracker(50);
    const float noise_var = std::pow(10.0f, 0.5f); // -5 dB
    FrameHeader got;
    bool expected = false;
    CHECK(!tracker.decode(noise.soft({}, noise_var), got, expected));
    CHECK(tracker.decode(
        noise.soft(tracker.code().modulate(header(3, 4000, 0, 9)), 0.1f), got, expected));
    CHECK(!expected);
    int right = 0, wrong = 0;
    for (int i = 1; i < 400; i++) {
        const auto sent = header(3, 4000, i % 80, 9);
        if (!tracker.decode(noise.soft(tracker.code().modulate(sent), noise_var), got, expected))
            continue;
        (got == sent ? right : wrong)++;
    }
    CHECK_BELOW(380, right);
    CHECK_BELOW(wrong, 4);
    int accepted = 0;
    for (int i = 0; i < 1000; i++)
        accepted += tracker.decode(noise.soft({}, noise_var), got, expected);
    CHECK_BELOW(accepted, 6);
}

// Told that nothing but noise was heard for long, the tracker believes less, but still what is clear.
void long_silence_makes_it_harder_to_believe()
{
    const double silence = 1 - 1e-5;
    for (const bool known : {false, true}) {
        Noise noise;
        FrameHeader got;
        bool expected = false;
        int accepted = 0, right = 0;
        for (int i = 0; i < 200; i++) {
            HeaderTracker tracker(50);
            if (known)
                CHECK(
                    tracker.decode(noise.soft(tracker.code().modulate(header(3, 4000, 7, 9)), 0.1f),
                                   got,
                                   expected));
            accepted += tracker.decode(noise.soft({}, i % 2 ? 1.0f : 4.0f), got, expected, silence);
            if (i < 100)
                right += tracker.decode(
                    noise.soft(tracker.code().modulate(header(3, 4000, 30, 9)), 1.0f),
                    got,
                    expected,
                    silence);
        }
        CHECK_EQUAL(accepted, 0);
        CHECK_BELOW(98, right); // at 0 dB
    }
    Noise noise; // at -5 dB headers are faint
    FrameHeader got;
    bool expected = false;
    int soon = 0, late = 0;
    for (int i = 0; i < 300; i++) {
        HeaderTracker one(50), other(50);
        const auto soft = noise.soft(one.code().modulate(header(3, 4000, 30, 9)), 3.16f);
        soon += one.decode(soft, got, expected);
        late += other.decode(soft, got, expected, silence);
    }
    CHECK_BELOW(late, soon);
    CHECK_BELOW(soon / 4, late);
}

void the_next_picture_is_recognised()
{
    Noise noise;
    const float noise_var = std::pow(10.0f, 0.5f); // -5 dB
    FrameHeader got;
    bool expected = false;
    int right = 0, wrong = 0;
    for (int i = 0; i < 300; i++) {
        HeaderTracker tracker(50);
        tracker.decode(
            noise.soft(tracker.code().modulate(header(15, 4000, 79, 9)), 0.1f), got, expected);
        const auto sent = header(0, 4000, i % 2, i % 3 ? 9 : 12);
        if (tracker.decode(noise.soft(tracker.code().modulate(sent), noise_var), got, expected))
            (got == sent ? right : wrong)++;
    }
    CHECK_BELOW(240, right);
    CHECK_BELOW(wrong, 4);
}

// Four frames in a row at -5 dB, where none or few are read alone; from noise nothing is.
void headers_in_a_row_are_read_together()
{
    Noise noise;
    const float noise_var = std::pow(10.0f, 0.5f);
    int right = 0, wrong = 0, alone = 0;
    for (int i = 0; i < 200; i++) {
        HeaderTracker tracker(50);
        const auto& code = tracker.code();
        const int total = 1000 + 13 * i, first = i % (total / 50 - 6);
        std::vector<HeaderCode::Evidence> frames;
        const std::vector<int> offset{0, 1, 3, 4}; // one of them was not found
        for (const int o : offset) {
            const auto soft =
                noise.soft(code.modulate(header(i % 16, total, first + o, i % 32)), noise_var);
            FrameHeader got;
            alone += code.decode(soft, got);
            frames.push_back(code.weigh(soft));
        }
        std::vector<FrameHeader> got;
        if (!tracker.together(frames, offset, got))
            continue;
        bool all = got.size() == offset.size();
        for (std::size_t k = 0; all && k < offset.size(); k++)
            all = got[k] == header(i % 16, total, first + offset[k], i % 32);
        (all ? right : wrong)++;
    }
    CHECK_BELOW(150, right);
    CHECK_EQUAL(wrong, 0);
    CHECK_BELOW(alone, 600); // of 800
    int accepted = 0;
    for (int i = 0; i < 200; i++) {
        HeaderTracker tracker(50);
        std::vector<HeaderCode::Evidence> frames;
        for (int k = 0; k < 6; k++)
            frames.push_back(tracker.code().weigh(noise.soft({}, i % 2 ? 1.0f : 4.0f)));
        std::vector<FrameHeader> got;
        accepted += tracker.together(frames, {0, 1, 2, 3, 4, 5}, got);
    }
    CHECK_BELOW(accepted, 2);
}

void a_header_is_read_by_the_one_behind()
{
    Noise noise;
    HeaderTracker tracker(50);
    int right = 0, wrong = 0, accepted = 0;
    for (int i = 0; i < 300; i++) {
        const auto later = header(3, 4000, 5 + i % 70, 9);
        auto sent = later;
        sent.index -= 1 + i % 3;
        FrameHeader got;
        const auto soft = noise.soft(tracker.code().modulate(sent), std::pow(10.0f, 0.5f));
        if (tracker.before(tracker.code().weigh(soft), later, 0.05, got))
            (got == sent ? right : wrong)++;
        accepted += tracker.before(tracker.code().weigh(noise.soft({}, 3.16f)), later, 0.05, got);
    }
    CHECK_BELOW(280, right);
    CHECK_BELOW(wrong, 4);
    CHECK_BELOW(accepted, 4);
}

} // namespace

int main()
{
    headers_in_a_row_are_read_together();
    a_header_is_read_by_the_one_behind();
    scatter_is_a_permutation();
    every_field_comes_through();
    frames_share_a_picture();
    CHECK_BELOW(990, decoded_of(1000, 0.0f));
    CHECK_BELOW(800, decoded_of(1000, -2.0f));
    noise_is_no_header();
    headers_are_recognised_where_they_cannot_be_decoded();
    long_silence_makes_it_harder_to_believe();
    the_next_picture_is_recognised();
    return check::result("frame_header");
}
