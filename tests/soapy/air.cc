/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "air.h"

#include <SoapySDR/Logger.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace diffsemsim {

namespace {

constexpr double pi = 3.14159265358979323846;
constexpr int half = 12,
              phases = 2048; // of the interpolating filter: taps on either side, positions
constexpr std::size_t enough =
    1 << 18; // samples that wait at the receiver; the rest waits in the socket

struct Message {
    uint64_t count;
    Tuning tuning;
};

//! Windowed sinc, 2 half taps for each of the positions between two samples.
const std::vector<float>& filter()
{
    static const std::vector<float> taps = [] {
        std::vector<float> out(static_cast<std::size_t>(phases) * 2 * half);
        for (int p = 0; p < phases; p++)
            for (int k = 0; k < 2 * half; k++) {
                const double t = k - half + 1 - static_cast<double>(p) / phases;
                const double window = std::cos(0.5 * pi * t / (half + 1));
                const double sinc = t == 0 ? 1 : std::sin(pi * t) / (pi * t);
                out[static_cast<std::size_t>(p) * 2 * half + k] =
                    static_cast<float>(sinc * window * window);
            }
        return out;
    }();
    return taps;
}

//! An address without a file: it goes with the process that listens.
socklen_t address(const std::string& air, sockaddr_un& out)
{
    out = {};
    out.sun_family = AF_UNIX;
    const std::string name = "diffsemsim-" + std::to_string(getuid()) + "-" + air;
    const std::size_t n = std::min(name.size(), sizeof(out.sun_path) - 1);
    std::memcpy(out.sun_path + 1, name.data(), n);
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + n);
}

int open_socket()
{
    const int s = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0)
        throw std::runtime_error(std::string("diffsemsim: no socket (") + std::strerror(errno) +
                                 ")");
    return s;
}

int milliseconds(double seconds)
{
    return static_cast<int>(std::ceil(1e3 * std::max(seconds, 0.0)));
}

} // namespace

double now()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

Uplink::~Uplink()
{
    if (d_socket >= 0)
        ::close(d_socket);
}

bool Uplink::connect()
{
    if (d_socket >= 0)
        return true;
    sockaddr_un there;
    const socklen_t length = address(d_air, there);
    d_socket = open_socket();
    if (::connect(d_socket, reinterpret_cast<sockaddr*>(&there), length) == 0)
        return true;
    ::close(d_socket);
    d_socket = -1;
    return false;
}

void Uplink::forget()
{
    if (d_sent == 0)
        d_waiting.clear();
    // else a message is on its way, and is finished
}

bool Uplink::flush(double seconds)
{
    const double end = now() + seconds;
    while (d_sent < d_waiting.size()) {
        if (!connect()) {
            if (d_heard) // by a receiver that has gone: the air does not wait for another
                break;
            if (now() >= end)
                return false;
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
            continue;
        }
        const ssize_t n =
            ::send(d_socket, &d_waiting[d_sent], d_waiting.size() - d_sent, MSG_NOSIGNAL);
        if (n > 0) {
            d_heard = true;
            d_sent += static_cast<std::size_t>(n);
        } else if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            ::close(d_socket); // the receiver has gone; another begins with a whole message
            d_socket = -1;
            d_sent = 0;
        } else {
            pollfd p{d_socket, POLLOUT, 0};
            if (now() >= end || (::poll(&p, 1, milliseconds(end - now())) == 0 && now() >= end))
                return false;
        }
    }
    d_waiting.clear();
    d_sent = 0;
    return true;
}

bool Uplink::send(const Tuning& tuning, const cfloat* samples, std::size_t n, double seconds)
{
    if (!flush(seconds))
        return false;
    const Message head{n, tuning};
    d_waiting.resize(sizeof head + n * sizeof(cfloat));
    std::memcpy(d_waiting.data(), &head, sizeof head);
    std::memcpy(d_waiting.data() + sizeof head, samples, n * sizeof(cfloat));
    flush(seconds); // what remains is ours from here on
    return true;
}

bool Signal::pull(const Tuning& here)
{
    std::vector<char> piece(1 << 16);
    while (!d_gone && d_samples.size() < enough) {
        const ssize_t n = ::recv(d_socket, piece.data(), piece.size(), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n <= 0) {
            d_gone = true;
            d_samples.resize(d_samples.size() + 2 * half); // the filter's end
            break;
        }
        d_bytes.insert(d_bytes.end(), piece.begin(), piece.begin() + n);
        Message head;
        std::size_t used = 0;
        while (d_bytes.size() - used >= sizeof head) {
            std::memcpy(&head, &d_bytes[used], sizeof head);
            const std::size_t whole = sizeof head + head.count * sizeof(cfloat);
            if (d_bytes.size() - used < whole)
                break;
            if (d_samples.size() <= 2 * half)
                d_since = now();
            d_there = head.tuning;
            const std::size_t old = d_samples.size();
            d_samples.resize(old + head.count);
            std::memcpy(&d_samples[old], &d_bytes[used + sizeof head], head.count * sizeof(cfloat));
            used += whole;
        }
        d_bytes.erase(d_bytes.begin(), d_bytes.begin() + static_cast<std::ptrdiff_t>(used));
    }
    const double away = std::abs(d_there.frequency - here.frequency);
    const bool heard = std::abs(d_there.rate / here.rate - 1) < 1e-3 && away < here.rate / 2;
    if (!heard && d_heard && !d_samples.empty())
        SoapySDR::logf(SOAPY_SDR_WARNING,
                       "diffsemsim: not heard: the transmitter is at %g Hz and %g S/s, the "
                       "receiver at %g Hz and %g S/s",
                       d_there.frequency,
                       d_there.rate,
                       here.frequency,
                       here.rate);
    if (!d_samples.empty())
        d_heard = heard;
    d_step =
        heard ? d_there.rate * (1 + 1e-6 * d_there.ppm) / (here.rate * (1 + 1e-6 * here.ppm)) : 1.0;
    return !d_gone || ready() > 0;
}

std::size_t Signal::ready() const
{
    const double last = static_cast<double>(d_samples.size()) - 2 * half - 1 - d_position;
    return last >= d_step ? static_cast<std::size_t>(last / d_step) : 0;
}

double Signal::waiting() const
{
    return ready() ? now() - d_since : 0;
}

void Signal::add(cfloat* out, std::size_t n, const Tuning& here, double offset)
{
    const auto needed =
        static_cast<std::size_t>(d_position + d_step * static_cast<double>(n)) + 2 * half + 1;
    if (d_samples.size() < needed)
        d_samples.resize(needed);
    const double there = d_there.frequency * (1 + 1e-6 * d_there.carrier_ppm);
    const double carrier = there - here.frequency * (1 + 1e-6 * here.carrier_ppm) + offset;
    const double turn = 2 * pi * carrier / here.rate;
    const auto& taps = filter();
    for (std::size_t i = 0; i < n; i++) {
        if (d_heard) {
            const double t = d_position + d_step * static_cast<double>(i);
            const auto base = static_cast<std::size_t>(t);
            const auto phase = static_cast<std::size_t>((t - static_cast<double>(base)) * phases);
            const float* h = &taps[phase * 2 * half];
            cfloat sum = 0;
            for (int k = 0; k < 2 * half; k++)
                sum += h[k] * d_samples[base + k];
            out[i] += sum * cfloat(std::polar(1.0, d_phase));
        }
        d_phase = std::remainder(d_phase + turn, 2 * pi);
    }
    d_position += d_step * static_cast<double>(n);
    const auto used = static_cast<std::size_t>(d_position);
    d_samples.erase(d_samples.begin(), d_samples.begin() + static_cast<std::ptrdiff_t>(used));
    d_position -= static_cast<double>(used);
    d_since = now();
}

Downlink::Downlink(const std::string& air) : d_socket(open_socket())
{
    sockaddr_un here;
    const socklen_t length = address(air, here);
    if (::bind(d_socket, reinterpret_cast<sockaddr*>(&here), length) != 0 ||
        ::listen(d_socket, 4) != 0) {
        ::close(d_socket);
        throw std::runtime_error("diffsemsim: another receiver listens to air=" + air +
                                 "; give each pair of radios its own");
    }
}

Downlink::~Downlink()
{
    for (auto& s : d_signals)
        ::close(s.socket());
    ::close(d_socket);
}

std::size_t Downlink::ready() const
{
    if (d_signals.empty())
        return 0;
    std::size_t n = SIZE_MAX;
    for (const auto& s : d_signals)
        n = std::min(n, s.ready());
    return n;
}

double Downlink::waiting() const
{
    double longest = 0;
    for (const auto& s : d_signals)
        longest = std::max(longest, s.waiting());
    return longest;
}

std::size_t Downlink::wait(const Tuning& here, double seconds)
{
    const double end = now() + seconds;
    for (;;) {
        int s;
        while ((s = ::accept4(d_socket, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
            d_signals.emplace_back(s);
        for (auto i = d_signals.begin(); i != d_signals.end();) {
            if (i->pull(here)) {
                ++i;
                continue;
            }
            ::close(i->socket());
            i = d_signals.erase(i);
        }
        const std::size_t n = ready();
        const double left = end - now();
        if (n || left <= 0)
            return n;
        std::vector<pollfd> p{{d_socket, POLLIN, 0}};
        for (const auto& signal : d_signals)
            if (!signal.ready())
                p.push_back({signal.socket(), POLLIN, 0});
        ::poll(p.data(), p.size(), milliseconds(left));
    }
}

void Downlink::receive(cfloat* out, std::size_t n, const Tuning& here, double offset)
{
    std::fill(out, out + n, cfloat(0));
    for (auto& s : d_signals)
        s.add(out, n, here, offset);
}

} // namespace diffsemsim
