/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What is taken out of a stream: impulses, lines and neighbours, and nothing of noise, frames or fading. And noise that
 * is not the same everywhere, from few looks.
 */
#include "check.h"
#include "small_frame.h"

#include <gnuradio/diffsem/core/link/carrier_noise.h>
#include <gnuradio/diffsem/core/link/impulse_blanker.h>
#include <gnuradio/diffsem/core/link/interference_filter.h>

#include <cmath>
#include <vector>

using namespace small_frame;

namespace {

using Samples = std::vector<cfloat>;

Samples noise(std::size_t count, float variance, int item = 0)
{
    Samples x(count);
    Rng(9).fill(item, 0, Domain::complex, count, reinterpret_cast<float*>(x.data()));
    for (auto& v : x)
        v *= std::sqrt(variance);
    return x;
}

// Frames of mean power 0.8 one behind the other, in noise 30 dB below.
Samples frames(int count)
{
    const auto f = layout();
    Samples x;
    for (int i = 0; i < count; i++) {
        const auto one = samples(f, symbols(f, header(i % 8)));
        x.insert(x.end(), one.begin(), one.end());
    }
    const auto n = noise(x.size(), 1e-3f);
    for (std::size_t i = 0; i < x.size(); i++)
        x[i] += n[i];
    return x;
}

double power(const Samples& x, std::size_t from = 0)
{
    double sum = 0;
    for (std::size_t i = from; i < x.size(); i++)
        sum += std::norm(x[i]) / double(x.size() - from);
    return sum;
}

std::vector<int> in_use()
{
    std::vector<int> used;
    for (int k = 6; k <= 58; k++)
        if (k != 32)
            used.push_back(k);
    return used;
}

InterferenceFilter make_filter()
{
    return InterferenceFilter(in_use(), len, 2.25f);
}

Samples through(InterferenceFilter& filter, const Samples& x, std::size_t piece = 1000)
{
    Samples out;
    for (std::size_t at = 0; at < x.size(); at += piece)
        filter.run(&x[at], std::min(piece, x.size() - at), out);
    return out;
}

Samples blanked(ImpulseBlanker& blanker, const Samples& x, std::size_t piece = 1000)
{
    Samples out;
    for (std::size_t at = 0; at < x.size(); at += piece)
        blanker.run(&x[at], std::min(piece, x.size() - at), out);
    return out;
}

Samples with_tone(Samples x, double amplitude, double carriers)
{
    for (std::size_t i = 0; i < x.size(); i++)
        x[i] += cfloat(std::polar(amplitude, 2 * pi * carriers * double(i) / len));
    return x;
}

void nothing_is_taken_out_of_frames_and_noise()
{
    auto gaps = noise(6000, 1e-3f, 2);
    auto stream = frames(10);
    gaps.insert(gaps.end(), stream.begin(), stream.end()); // behind silence, too
    // two paths of equal power, four samples apart: zeros in the band and 3 dB above its mean
    Samples faded = frames(10);
    for (std::size_t i = faded.size(); i-- > 4;)
        faded[i] = std::sqrt(0.5f) * (faded[i] + faded[i - 4]);
    for (const auto& x : {noise(40000, 1), gaps, faded}) {
        auto filter = make_filter();
        const auto y = through(filter, x);
        CHECK(!filter.found().any());
        CHECK_EQUAL(y.size(), x.size()); // none is held back
        CHECK(y == x);
    }
    // rare as stated: 1e-8 for each of some 500 values in each of 2,000 blocks
    auto filter = make_filter();
    int seen = 0;
    for (int i = 0; i < 25; i++) {
        through(filter, noise(40000, 1, 10 + i));
        seen += filter.found().any();
    }
    CHECK_EQUAL(seen, 0);
}

// What is left of interference, over the signal's power, once the filter has seen it.
void lines_and_neighbours_are_taken_out()
{
    const auto clean = frames(14);
    const double signal = power(clean);
    struct Case {
        double level_db, carriers;
        bool dc, tone, neighbour;
    };
    for (const auto& c : {Case{-10, 0, true, false, false},
                          Case{20, 0, true, false, false},
                          Case{0, 10.3, false, true, false},
                          Case{20, -13.6, false, true, false},
                          Case{20, 30.4, false, false, true}}) {
        const double amplitude = std::sqrt(signal) * std::pow(10, c.level_db / 20);
        auto filter = make_filter();
        const auto y = through(filter, with_tone(clean, amplitude, c.carriers));
        const auto found = filter.found();
        CHECK_EQUAL(found.dc, c.dc);
        CHECK_EQUAL(found.tone, c.tone);
        CHECK_EQUAL(found.neighbour, c.neighbour);
        Samples left;
        for (std::size_t i = 0; i < y.size(); i++)
            left.push_back(y[i] - clean[i]);
        // from the first block on; the notch takes about 1.2 of 52 carriers with it
        CHECK_BELOW(power(left), 0.05 * signal);
        CHECK(y.size() + 3 * 512 / 2 + 512 > clean.size());
    }
}

void what_ends_is_forgotten_and_pieces_do_not_matter()
{
    auto x = with_tone(frames(10), 3, 7.2);
    const auto after = frames(200);
    x.insert(x.end(), after.begin(), after.end());
    auto filter = make_filter();
    const auto y = through(filter, x);
    CHECK(!filter.found().any());
    CHECK_EQUAL(y.size(), x.size());
    for (std::size_t piece : {77, 5000}) {
        auto again = make_filter();
        CHECK(through(again, x, piece) == y);
    }
}

void impulses_are_blanked()
{
    auto x = frames(10);
    const auto clean = x;
    std::vector<std::size_t> at;
    for (std::size_t i = 100; i + 100 < x.size(); i += 389)
        at.push_back(i);
    for (const auto i : at)
        x[i] += 100.0f;
    for (std::size_t i = 2000; i < 2005; i++) // a longer one
        x[i] = 30.0f;
    ImpulseBlanker blanker;
    const auto y = blanked(blanker, x);
    CHECK_EQUAL(y.size(), x.size());
    CHECK_EQUAL(blanker.blanked(), at.size() + 5);
    CHECK_EQUAL(blanker.between(100, 1), 1);
    CHECK_EQUAL(blanker.between(101, 388), 0);
    CHECK_EQUAL(blanker.between(2000, 5), 5);
    for (std::size_t i = 0; i < y.size(); i++)
        if (y[i] != clean[i])
            CHECK_EQUAL(y[i], cfloat(0, 0));
    for (std::size_t piece : {1, 77}) {
        ImpulseBlanker again;
        CHECK(blanked(again, x, piece) == y);
    }
    blanker.forget(1000);
    CHECK_EQUAL(blanker.between(0, 1000), 0);
    CHECK_EQUAL(blanker.between(2000, 5), 5);
}

void frames_are_no_impulses()
{
    // behind silence, behind noise 60 dB below, behind another 20 dB above; and mostly zeros, as few bits make of it
    auto few_bits = frames(10);
    for (auto& v : few_bits)
        v = {std::abs(v.real()) > 1.3f ? v.real() : 0, std::abs(v.imag()) > 1.3f ? v.imag() : 0};
    Samples silent(3000, 0), quiet = noise(3000, 1e-6f), loud = frames(4);
    for (auto& v : loud)
        v *= 10.0f;
    for (auto* x : {&silent, &quiet, &loud}) {
        const auto more = frames(4);
        x->insert(x->end(), more.begin(), more.end());
    }
    for (const auto& x : {silent, quiet, loud, few_bits}) {
        ImpulseBlanker blanker;
        const auto y = blanked(blanker, x);
        CHECK(std::equal(y.begin(), y.end(), x.begin()));
        CHECK_EQUAL(int(blanker.blanked()), 0);
        CHECK(y.size() + ImpulseBlanker::window >= x.size());
    }
}

// Mean over draws of what weights by these factors lose against the true ones, and of the factors themselves.
void factors_follow_the_noise()
{
    constexpr int carriers = 48, looks = 2, draws = 300;
    const Rng rng(4);
    double flat = 0, flat_square = 0, low = 0, high = 0;
    for (int d = 0; d < draws; d++) {
        std::vector<double> sum(carriers), hit(carriers), count(carriers, looks);
        for (int k = 0; k < carriers; k++)
            for (int i = 0; i < looks; i++) {
                const auto n = rng.normals(d, k, i);
                sum[k] += 0.5 * (n[0] * n[0] + n[1] * n[1]);
            }
        hit = sum;
        for (int k = 0; k < 4; k++)
            hit[k] *= 100;
        for (const double g : noise_factors(sum, count)) {
            flat += g / (carriers * draws);
            flat_square += (g - 1) * (g - 1) / (carriers * draws);
        }
        const auto g = noise_factors(hit, count);
        for (int k = 0; k < carriers; k++)
            (k < 4 ? high : low) += std::log2(g[k]) / ((k < 4 ? 4 : carriers - 4) * draws);
    }
    // flat noise stays flat: two looks by themselves would be wrong by 1/2 in the square
    CHECK_NEAR(flat, 1, 0.1);
    CHECK_BELOW(flat_square, 0.06);
    // 100 times is seen, within a factor of 2 in the mean, and leaves the others as they are
    CHECK_NEAR(high, std::log2(100), 1);
    CHECK_NEAR(low, 0, 0.3);
    for (const double g : noise_factors({0, 0}, {0, 0}))
        CHECK_EQUAL(g, 1.0);
}

void carriers_are_remembered()
{
    CarrierNoise carriers(48);
    const std::vector<double> stated(48, 2.0);
    const std::vector<int> count(48, 2);
    std::vector<double> found(48, 2.0);
    for (int i = 0; i < 3; i++)
        found[i] = 2.0 * 16;
    for (int frame = 0; frame < 10; frame++)
        carriers.add(found, stated, count);
    const double mean = (3 * 16 + 45) / 48.0;
    CHECK_NEAR(carriers.factors()[0], 16 / mean, 0.1 * 16 / mean);
    CHECK_NEAR(carriers.factors()[20], 1 / mean, 0.1 / mean);
    // what says nothing changes nothing
    carriers.add(std::vector<double>(48, 0.0), stated, count);
    carriers.add(std::vector<double>(48, NAN), stated, count);
    CHECK_NEAR(carriers.factors()[20], 1 / mean, 0.1 / mean);
}

} // namespace

int main()
{
    nothing_is_taken_out_of_frames_and_noise();
    lines_and_neighbours_are_taken_out();
    what_ends_is_forgotten_and_pieces_do_not_matter();
    impulses_are_blanked();
    frames_are_no_impulses();
    factors_follow_the_noise();
    carriers_are_remembered();
    return check::result("interference");
}
