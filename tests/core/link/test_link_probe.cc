/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What of a sender's settings differs is said, and nothing where nothing does.
 */
#include "check.h"
#include "small_frame.h"

#include <gnuradio/diffsem/core/link/link_probe.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

using namespace small_frame;

namespace {

using Samples = std::vector<cfloat>;

// Frames with another prefix, sampled at `step` samples of the sender apart (their Fourier series says what lies between),
// at a small carrier offset; behind silence, in noise of 20 dB.
Samples air(int prefix, double step, int frames = 16)
{
    const auto f = layout();
    Samples sent(500);
    for (int i = 0; i < frames; i++) {
        auto spectra = f.word1;
        spectra.insert(spectra.end(), f.word2.begin(), f.word2.end());
        const auto more = symbols(f, header(i % 8));
        spectra.insert(spectra.end(), more.begin(), more.end());
        const int count = static_cast<int>(spectra.size()) / len;
        const int longer = prefix + len;
        // samples of the sender's stream at times step * n
        const double begin = double(sent.size()) * step;
        for (double t = std::ceil(begin / step) * step - begin; t < count * longer; t += step) {
            const int s = static_cast<int>(t / longer);
            const double inside = t - s * longer - prefix;
            std::complex<double> sum = 0;
            for (int k = 0; k < len; k++)
                // a receiver's filter: what lies beyond half its rate does not come through
                if (std::abs(k - len / 2) * step < len / 2)
                    sum += std::complex<double>(spectra[s * len + k]) *
                           std::polar(1.0, 2 * pi * (k - len / 2) * inside / len);
            sent.push_back(cfloat(sum / std::sqrt(double(len))));
        }
    }
    Samples noise(sent.size());
    Rng(3).fill(0, 0, Domain::complex, noise.size(), reinterpret_cast<float*>(noise.data()));
    for (std::size_t t = 0; t < sent.size(); t++) {
        sent[t] *= cfloat(std::polar(1.0, 2 * pi * 0.2 * double(t) / len));
        sent[t] += 0.1f * noise[t];
    }
    return sent;
}

std::string hint_of(const Samples& x, std::size_t piece = 1000)
{
    LinkProbe probe(layout(), 2.25f, dft());
    for (std::size_t at = 0; at < x.size(); at += piece)
        probe.take(&x[at], std::min(piece, x.size() - at), 0);
    return probe.hint();
}

void says_what_differs()
{
    auto mirrored = air(cp, 1);
    for (auto& v : mirrored)
        v = {v.imag(), v.real()};
    CHECK(hint_of(mirrored).find("I and Q are swapped") != std::string::npos);
    CHECK(hint_of(air(8, 1)).find("cyclic prefix is 8 samples, this receiver's 16") !=
          std::string::npos);
    CHECK(hint_of(air(32, 1)).find("cyclic prefix is 32") != std::string::npos);
    CHECK(hint_of(air(cp, 0.5)).find("rate is half") != std::string::npos);
    CHECK(hint_of(air(cp, 2)).find("rate is twice") != std::string::npos);
    CHECK(hint_of(air(cp, 1.0 / 3, 12)).find("rate is a third") != std::string::npos);
    CHECK(hint_of(air(cp, 3, 40)).find("rate is three times") != std::string::npos);
    // another ratio: 64 * 1.25 samples
    CHECK(
        hint_of(air(cp, 0.8)).find("repeats after 80 samples, as symbols of 64 do at 0.8 times") !=
        std::string::npos);
}

// Prefixes of any length; recordings that end after four frames, or three.
void says_it_of_few_frames()
{
    for (const int prefix : {12, 20, 28, 60})
        for (const int frames : {3, 4}) {
            const auto x = air(prefix, 1, frames);
            LinkProbe probe(layout(), 2.25f, dft());
            probe.take(x.data(), x.size(), 0);
            probe.end();
            CHECK(probe.hint().find("cyclic prefix is " + std::to_string(prefix) + " samples") !=
                  std::string::npos);
        }
    LinkProbe none(layout(), 2.25f, dft());
    none.end();
    CHECK_EQUAL(none.hint(), "");
    const Samples short_one(100, cfloat(1, 0));
    none.take(short_one.data(), 100, 0);
    none.end();
    CHECK_EQUAL(none.hint(), "");
}

void says_nothing_of_noise_or_while_frames_come()
{
    Samples noise(40000);
    Rng(3).fill(0, 0, Domain::complex, noise.size(), reinterpret_cast<float*>(noise.data()));
    CHECK_EQUAL(hint_of(noise), "");
    CHECK_EQUAL(hint_of(Samples(40000, cfloat(NAN, 0))), "");
    for (std::size_t t = 0; t < noise.size(); t++) // a carrier
        noise[t] += cfloat(std::polar(3.0, 0.3 * double(t)));
    CHECK_EQUAL(hint_of(noise), "");
    const auto x = air(32, 1);
    LinkProbe probe(layout(), 2.25f, dft());
    std::uint64_t frames = 0;
    for (std::size_t at = 0; at + 1000 < x.size(); at += 1000)
        probe.take(&x[at], 1000, frames++ / 2);
    CHECK_EQUAL(probe.hint(), "");
    // and what was said is taken back once they do
    for (std::size_t at = 0; at + 1000 < x.size(); at += 1000)
        probe.take(&x[at], 1000, frames);
    CHECK(!probe.hint().empty());
    probe.take(x.data(), 10, frames + 1);
    CHECK_EQUAL(probe.hint(), "");
}

} // namespace

int main()
{
    says_what_differs();
    says_it_of_few_frames();
    says_nothing_of_noise_or_while_frames_come();
    return check::result("link_probe");
}
