/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/frame_finder.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr float largest_power = 1e30f; // of a sample; its square is still a number
constexpr int look_symbols = 6; // whose pilots refine the offset before the header is decoded
constexpr double other_pictures = 0.02;
constexpr double pi = 3.14159265358979323846;
constexpr double allowance = 200;                // headers that may fail in a row at no price
constexpr double price_per_debt = 0.02;          // of the threshold, for each one beyond it
constexpr float inside = 0.6f, inside_least = 2; // of the frame's own score, and of the threshold
constexpr double sure_peak = 5e-6; // false alarms per sample of a preamble whose header may wait
constexpr std::size_t most_waiting = 8; // frames whose header waits
constexpr double even = 0.15; // frames in a row are as far apart as each other, but for this share
constexpr double image_memory = 0.8; // of frames
// Of E[x^2]/E|x|^2: standard deviations of independent samples, which those of OFDM are not quite; and what pilots that
// are mirrored to each other give in a selective channel.
constexpr double image_doubt = 6, image_least = 0.12;

std::vector<int> in_use(const FrameLayout& layout)
{
    std::vector<int> used;
    for (int k = 0; k < layout.fft_len(); k++)
        if (std::norm(layout.word1[k]) > 0)
            used.push_back(k);
    return used;
}

} // namespace

FrameFinder::FrameFinder(FrameLayout layout, PreambleCorrelator correlator, Dft dft)
    : d_front(std::move(layout)),
      d_correlator(std::move(correlator)),
      d_tracker(d_front.layout().frame_symbols),
      d_dft(std::move(dft)),
      d_len(d_front.layout().fft_len()),
      d_symbol(d_len + d_front.layout().cp_len),
      d_look(std::max(look_symbols, d_front.layout().header_symbols())),
      d_lead(static_cast<std::size_t>(d_front.layout().cp_len)),
      d_filter(in_use(d_front.layout()), d_len, d_correlator.max_offset()),
      d_samples(d_lead),
      d_turned(d_len)
{
}

// Symbol 0 and 1 are the sync words. The coarse offset is turned back before the DFT.
void FrameFinder::spectrum(int symbol, cfloat* out)
{
    const std::size_t first =
        d_start + static_cast<std::size_t>(symbol) * d_symbol + d_symbol - d_len;
    const double turn = -2 * pi * d_offset / d_len;
    const auto step = std::polar(1.0, turn);
    auto now = std::polar(1.0, turn * static_cast<double>(first - d_start));
    for (int i = 0; i < d_len; i++) {
        const float re = static_cast<float>(now.real()), im = static_cast<float>(now.imag());
        const cfloat y = d_samples[first + i];
        const cfloat x = {y.real() - d_image.real() * y.real() - d_image.imag() * y.imag(),
                          y.imag() - d_image.imag() * y.real() + d_image.real() * y.imag()};
        d_turned[i] = {re * x.real() - im * x.imag(), re * x.imag() + im * x.real()};
        now = {now.real() * step.real() - now.imag() * step.imag(),
               now.real() * step.imag() + now.imag() * step.real()};
    }
    const cfloat* bins = d_dft(d_turned.data());
    const float scale = 1 / std::sqrt(static_cast<float>(d_len));
    for (int k = 0; k < d_len; k++)
        out[k] = scale * bins[(k + d_len / 2) % d_len];
}

void FrameFinder::score()
{
    const std::size_t done = d_score.size(), reach = d_correlator.reach();
    if (d_samples.size() < done + reach)
        return;
    const std::size_t n = d_samples.size() - done - reach + 1;
    d_score.resize(done + n);
    d_grid.resize(done + n);
    d_correlator.scores(&d_samples[done], static_cast<int>(n), &d_score[done], &d_grid[done]);
}

// Headers that failed beyond what the time allows; below 0 where there is allowance left.
double FrameFinder::debt(std::uint64_t at) const
{
    return std::max(-allowance, d_debt - double(at - d_debt_at) / samples_per_failure);
}

void FrameFinder::fail()
{
    const std::uint64_t at = d_base + d_start;
    d_debt = debt(at) + 1;
    d_debt_at = at;
}

bool FrameFinder::search()
{
    const float threshold = d_correlator.threshold();
    for (; d_position < d_score.size(); d_position++) {
        const float score = d_score[d_position];
        if (score < threshold)
            continue;
        const std::uint64_t at = d_base + d_position;
        if (at < d_inside_until && score < d_inside_score)
            continue;
        if (score >= threshold * (1 + price_per_debt * std::max(0.0, debt(at))))
            break;
        if (at >= d_skipped_at) {
            d_skipped++;
            d_skipped_at = at + d_symbol;
        }
    }
    // The best score of a symbol's length, unless it lies at the end: then a better one may follow.
    const std::size_t end = d_position + d_symbol, edge = end - layout().cp_len;
    if (d_score.size() < end)
        return false;
    const auto first = d_score.begin() + static_cast<std::ptrdiff_t>(d_position);
    d_start = static_cast<std::size_t>(std::max_element(first, first + d_symbol) - d_score.begin());
    if (d_start >= edge) {
        d_position = d_start;
        return true;
    }
    d_next = d_start + layout().cp_len;
    d_offset = d_correlator.refine(&d_samples[d_start], d_grid[d_start]);
    d_state = State::header;
    d_found++;
    return true;
}

bool FrameFinder::read_header()
{
    if (d_samples.size() < d_start + static_cast<std::size_t>(2 + d_look) * d_symbol)
        return false;
    std::vector<cfloat> symbols(static_cast<std::size_t>(2 + d_look) * d_len);
    for (int s = 0; s < 2 + d_look; s++)
        spectrum(s, &symbols[static_cast<std::size_t>(s) * d_len]);
    d_front.sync(&symbols[0], &symbols[d_len]);
    d_step = d_front.residual(&symbols[2 * d_len], d_look);
    HeaderSoftBits soft;
    d_front.soft_bits(&symbols[2 * d_len], d_step, soft);
    bool expected = false;
    // Peaks of noise as high as this that come in the time of a frame, or since the last one: the longer none
    // came, the rarer they are; and other pictures.
    const double span = std::max<double>(d_symbol * layout().frame_symbols,
                                         double(d_base + d_start) - double(d_heard));
    const double odds = other_pictures + d_correlator.false_alarm(d_score[d_start]) * span;
    const double other = odds / (1 + odds);
    const Waiting here{d_start, d_offset, d_step, d_tracker.code().weigh(soft), {}};
    if (d_tracker.decode(soft, d_header, expected, other)) {
        d_recognised += expected;
        d_ready.push_back(here);
        d_ready.back().header = d_header;
        rescue(other);
        begin(d_ready.size() > 1);
        return true;
    }
    const bool busy = debt(d_base + d_start) > allowance / 10; // no time for guesses
    fail();
    if (hold(here) && !busy && join()) {
        rescue(other);
        begin(true);
        return true;
    }
    d_position = d_next;
    d_state = State::search;
    return true;
}

// Whether this frame's header waits for others to help.
bool FrameFinder::hold(const Waiting& frame)
{
    if (d_correlator.false_alarm(d_score[frame.start]) > sure_peak)
        return false;
    const auto least = static_cast<std::size_t>((3 + layout().header_symbols()) * d_symbol);
    if (!d_waiting.empty() && frame.start < d_waiting.back().start + least)
        return false; // another peak of the same preamble
    if (d_waiting.size() == most_waiting)
        d_waiting.pop_front();
    d_waiting.push_back(frame);
    return true;
}

// Reads the headers of the last waiting frames together, as far back as they are evenly apart.
bool FrameFinder::join()
{
    const int n = static_cast<int>(d_waiting.size());
    if (n < 2)
        return false;
    double period = 1e300;
    for (int i = 1; i < n; i++)
        period = std::min(period, double(d_waiting[i].start - d_waiting[i - 1].start));
    int first = n - 1;
    std::vector<double> back{0}; // frames before the last one
    for (int i = n - 2; i >= 0; i--) {
        const double apart = double(d_waiting[n - 1].start - d_waiting[i].start) / period;
        if (std::fabs(apart - std::round(apart)) > even)
            break;
        back.push_back(std::round(apart));
        first = i;
    }
    std::vector<HeaderCode::Evidence> evidence;
    std::vector<int> offset;
    for (int i = first; i < n; i++) {
        evidence.push_back(d_waiting[i].evidence);
        offset.push_back(static_cast<int>(back.back() - back[n - 1 - i]));
    }
    std::vector<FrameHeader> headers;
    if (first == n - 1 || !d_tracker.together(evidence, offset, headers))
        return false;
    for (int i = first; i < n; i++) {
        d_ready.push_back(d_waiting[i]);
        d_ready.back().header = headers[i - first];
        d_recognised++;
    }
    d_waiting.erase(d_waiting.begin() + first, d_waiting.end());
    return true;
}

// Those that still wait, with the help of the first frame whose header is known.
void FrameFinder::rescue(double other)
{
    for (; !d_waiting.empty(); d_waiting.pop_back()) {
        Waiting& frame = d_waiting.back();
        if (!d_tracker.before(frame.evidence, d_ready.front().header, other, frame.header))
            continue;
        d_ready.push_front(frame);
        d_recognised++;
    }
}

// The first of the frames that are ready is read next. again: its sync words have to be read first.
void FrameFinder::begin(bool again)
{
    const Waiting& frame = d_ready.front();
    d_start = frame.start;
    d_offset = frame.offset;
    d_step = frame.step;
    d_header = frame.header;
    d_payload = d_header.payload_symbols(layout().frame_symbols);
    d_again = again;
    d_state = State::frame;
}

// The w for which y - w conj(y) has no mean square, if that of y, here behind the sync words, is no chance.
void FrameFinder::learn_image(std::size_t end)
{
    d_squares *= image_memory;
    d_powers *= image_memory;
    d_counted *= image_memory;
    for (std::size_t i = d_start + 2 * static_cast<std::size_t>(d_symbol); i < end; i++) {
        const double re = d_samples[i].real(), im = d_samples[i].imag();
        d_squares += std::complex<double>(re * re - im * im, 2 * re * im);
        d_powers += re * re + im * im;
    }
    d_counted += double(end - d_start) - 2 * d_symbol;
    d_image = 0;
    if (!(d_powers > 0))
        return;
    const auto rho = d_squares / d_powers;
    const double size = std::norm(rho);
    if (size > std::max(image_doubt * image_doubt / d_counted, image_least * image_least) &&
        size < 0.99)
        d_image = cfloat((1 - std::sqrt(1 - size)) / std::conj(rho));
}

bool FrameFinder::read_frame()
{
    const int headers = layout().header_symbols(), full = headers + layout().frame_symbols;
    const std::size_t end = d_start + static_cast<std::size_t>(2 + headers + d_payload) * d_symbol;
    if (d_samples.size() < end)
        return false;
    const cfloat before = d_image;
    learn_image(end);
    if (d_again ||
        d_image != before) { // the sync words were read without it, or are those of another frame
        std::vector<cfloat> words(2 * static_cast<std::size_t>(d_len));
        spectrum(0, &words[0]);
        spectrum(1, &words[static_cast<std::size_t>(d_len)]);
        d_front.sync(&words[0], &words[static_cast<std::size_t>(d_len)]);
    }
    auto& vectors = d_frame.vectors;
    vectors.assign(static_cast<std::size_t>(1 + full) * d_len, 0);
    std::copy(d_front.combined().begin(), d_front.combined().end(), vectors.begin());
    for (int s = 0; s < headers + d_payload; s++) {
        cfloat* out = &vectors[static_cast<std::size_t>(1 + s) * d_len];
        spectrum(2 + s, out);
        const cfloat turn = FrameFront::turn_back(d_step, s);
        for (int k = 0; k < d_len; k++)
            out[k] *= turn;
    }
    d_frame.lost.clear();
    for (int s = 0; s < headers + d_payload; s++)
        if (const int gone = impulses_in(2 + s)) {
            d_frame.lost.resize(static_cast<std::size_t>(headers + d_payload), 0.0f);
            d_frame.lost[static_cast<std::size_t>(s)] = float(gone) / d_len;
        }
    d_frame.header = d_header;
    d_frame.carrier_offset = d_offset + d_step * d_len / (2 * pi * d_symbol);
    d_frame.start = std::max<std::uint64_t>(d_base + d_start, d_lead) - d_lead;
    d_frame.score = d_score[d_start] / d_correlator.threshold();
    d_out++;
    d_heard = d_base + end;
    d_ready.pop_front();
    if (!d_ready.empty()) {
        begin(true);
        return true;
    }
    // The next frame may follow at once, and begin a little early; or within this one, where samples were lost. But its
    // payload must not be taken for preambles: there only what is as clear as its own counts.
    d_position = d_start + static_cast<std::size_t>(2 + headers) * d_symbol;
    d_inside_until = d_base + end - layout().cp_len;
    d_inside_score = std::max(inside * d_score[d_start], inside_least * d_correlator.threshold());
    d_state = State::search;
    return true;
}

// Impulses in the DFT's window of a symbol. Sample i of d_samples is d_base + i - d_lead of the stream.
int FrameFinder::impulses_in(int symbol) const
{
    const std::uint64_t first =
        d_base + d_start + static_cast<std::size_t>(symbol) * d_symbol + d_symbol - d_len;
    return first < d_lead ? 0 : d_blanker.between(first - d_lead, d_len);
}

bool FrameFinder::next()
{
    for (;;) {
        const bool reads = d_state == State::frame;
        const bool moved = d_state == State::search ? search()
                           : reads                  ? read_frame()
                                                    : read_header();
        if (!moved || reads)
            return moved;
    }
}

// What no frame can need any more, once it is worth the copying.
void FrameFinder::forget()
{
    std::size_t keep = d_state == State::search ? std::min(d_position, d_score.size()) : d_start;
    const auto longest =
        static_cast<std::size_t>(2 + layout().header_symbols() + layout().frame_symbols) * d_symbol;
    while (!d_waiting.empty() && d_waiting.front().start + 2 * most_waiting * longest < keep)
        d_waiting.pop_front(); // nothing came that would have helped
    if (!d_waiting.empty())
        keep = std::min(keep, d_waiting.front().start);
    if (keep < piece)
        return;
    d_samples.erase(d_samples.begin(), d_samples.begin() + static_cast<std::ptrdiff_t>(keep));
    d_score.erase(d_score.begin(), d_score.begin() + static_cast<std::ptrdiff_t>(keep));
    d_grid.erase(d_grid.begin(), d_grid.begin() + static_cast<std::ptrdiff_t>(keep));
    d_base += keep;
    d_blanker.forget(std::max<std::uint64_t>(d_base, d_lead) - d_lead);
    d_position -= std::min(d_position, keep);
    d_start -= std::min(d_start, keep);
    d_next -= std::min(d_next, keep);
    for (auto* frames : {&d_waiting, &d_ready})
        for (auto& frame : *frames)
            frame.start -= keep;
}

int FrameFinder::take(const cfloat* samples, int n)
{
    forget();
    n = std::min(n, piece);
    d_sane.clear();
    d_even.clear();
    for (int i = 0; i < n; i++) {
        const bool sane = std::norm(samples[i]) < largest_power; // NaN is not
        d_sane.push_back(sane ? samples[i] : cfloat(0, 0));
        d_blanked += !sane;
    }
    d_blanker.run(d_sane.data(), d_sane.size(), d_even);
    d_filter.run(d_even.data(), d_even.size(), d_samples);
    score();
    return n;
}

} // namespace core
} // namespace diffsem
} // namespace gr
