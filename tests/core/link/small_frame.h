/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Small frames of 64 carriers, and their samples by the definition of the DFT.
 */
#pragma once

#include <gnuradio/diffsem/core/base/philox.h>
#include <gnuradio/diffsem/core/link/frame_receiver.h>

#include <algorithm>
#include <complex>
#include <vector>

namespace small_frame {

using namespace gr::diffsem::core;

constexpr int len = 64, cp = 16, symbol = len + cp, payload = 4;
constexpr double pi = 3.14159265358979323846;

//! The DFT of `len` samples, by its definition; a receiver's scratch goes with each copy.
inline auto dft()
{
    return [out = std::vector<cfloat>(len)](const cfloat* x) mutable -> const cfloat* {
        for (int k = 0; k < len; k++) {
            std::complex<double> sum = 0;
            for (int t = 0; t < len; t++)
                sum += std::complex<double>(x[t]) * std::polar(1.0, -2 * pi * k * t / len);
            out[k] = cfloat(sum);
        }
        return out.data();
    };
}

inline cfloat sign(const Rng& rng, int item, int k)
{
    return rng.normals(item, 0, k)[0] > 0 ? 1.0f : -1.0f;
}

//! 48 data carriers and 4 pilots, DC and the edges empty.
inline FrameLayout layout()
{
    const Rng rng(1);
    FrameLayout out;
    out.word1.assign(len, 0);
    out.word2.assign(len, 0);
    for (int k = 6; k <= 58; k++) {
        if (k == len / 2)
            continue;
        (k == 11 || k == 25 || k == 39 || k == 53 ? out.pilots : out.data).push_back(k);
        out.word1[k] = sign(rng, 0, k);
        out.word2[k] = sign(rng, 1, k);
    }
    out.pilot_symbols = {{1, 1, 1, -1}, {-1, 1, -1, 1}, {1, -1, -1, 1}};
    out.cp_len = cp;
    out.frame_symbols = payload;
    out.check();
    return out;
}

inline FrameHeader header(int index)
{
    FrameHeader h;
    h.id = 3;
    h.total = 8 * payload;
    h.index = index;
    h.digital = 5;
    return h;
}

//! Header and payload, symbols x len; the payload's data are Gaussian of unit power.
inline std::vector<cfloat> symbols(const FrameLayout& f, const FrameHeader& h)
{
    const auto coded = HeaderCode().modulate(h);
    const int carriers = static_cast<int>(f.data.size()), all = f.header_symbols() + payload;
    std::vector<cfloat> gaussian(payload * carriers);
    Rng(2).fill(
        h.index, 0, Domain::complex, gaussian.size(), reinterpret_cast<float*>(gaussian.data()));
    std::vector<cfloat> out(all * len);
    for (int i = 0; i < all * carriers; i++)
        out[i / carriers * len + f.data[i % carriers]] =
            i < FrameHeader::symbols ? coded[i] : gaussian[i - f.header_symbols() * carriers];
    for (int s = 0; s < all; s++)
        for (std::size_t p = 0; p < f.pilots.size(); p++)
            out[s * len + f.pilots[p]] = f.pilot_symbols[s % f.pilot_symbols.size()][p];
    return out;
}

//! A frame's samples: both words and its symbols with their prefixes.
inline std::vector<cfloat> samples(const FrameLayout& f, const std::vector<cfloat>& sent)
{
    std::vector<cfloat> spectra(f.word1), out;
    spectra.insert(spectra.end(), f.word2.begin(), f.word2.end());
    spectra.insert(spectra.end(), sent.begin(), sent.end());
    for (std::size_t s = 0; s < spectra.size() / len; s++)
        for (int t = -cp; t < len; t++) {
            std::complex<double> sum = 0;
            for (int k = 0; k < len; k++)
                sum += std::complex<double>(spectra[s * len + k]) *
                       std::polar(1.0, 2 * pi * (k - len / 2) * t / len);
            out.push_back(cfloat(sum / std::sqrt(double(len))));
        }
    return out;
}

} // namespace small_frame
