/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A simulated radio for SoapySDR: driver=diffsemsim, and driver=hackrf for flowgraphs made for one.
 *
 *   air     which radios meet (default "air"); one receiver and any number of transmitters
 *   snr     Es/N0 in dB of a carrier of the default layout (52 of 64) that a transmitter of RMS 0.2 gets at
 *           the transmit gain `at_gain` (0); more gain is more SNR
 *   offset  Hz by which the transmitter's carrier comes too high
 *   ppm     error of this radio's oscillator: of its carrier (in Hz, in proportion) and its sampling clock
 *   seed    of the noise
 *   pace    1: by the wall clock, samples that come late are lost and an idle transmitter is silence, as in
 *           a radio. 0 (default): the receiver waits a quarter of a second for samples, the transmitter for a
 *           receiver, so that a busy machine does not change what arrives
 *
 * A receiver's converter has 12 bits and clips at 1; at 30 dB of gain the transmitter above has RMS 0.1 there.
 * The environment variable DIFFSEMSIM holds more arguments of the same form, which go before those of the device.
 */
#include "air.h"

#include <SoapySDR/Device.hpp>
#include <SoapySDR/Formats.hpp>
#include <SoapySDR/Registry.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>

using namespace diffsemsim;

namespace {

constexpr double nominal_rms = 0.2;              // of a transmitter
constexpr double nominal_gain = 30, level = 0.1; // dB of a receiver, and RMS at its converter
constexpr double full_scale = 2047;              // 12 bits
constexpr double slowest = 2e5, fastest = 20e6;  // samples per second
constexpr double hang = 0.25;                    // s that a receiver waits when not paced
constexpr double lead = 0.1, latency = 0.05;     // s in a paced transmitter's buffer, a receiver's
constexpr std::size_t block = 8192;

void sleep(double seconds)
{
    if (seconds > 0)
        std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

//! One direction of the radio.
struct Side {
    Tuning tuning;
    std::map<std::string, double> gains;
    std::string antenna;
    double correction = 0, bandwidth = 0, dc = 0;
    double began = 0, given = 0; // of the stream: s, samples

    double gain() const
    {
        double sum = 0;
        for (const auto& g : gains)
            sum += g.second;
        return sum;
    }
};

class Radio : public SoapySDR::Device
{
public:
    explicit Radio(const SoapySDR::Kwargs& args) : d_args(args)
    {
        d_driver = args.count("driver") ? args.at("driver") : "diffsemsim";
        d_air = args.count("air") ? args.at("air") : "air";
        d_paced = number("pace", 0) != 0;
        d_noise_var = 64.0 / 52 * std::pow(10.0, -number("snr", 100) / 10);
        d_rng.seed(static_cast<unsigned>(number("seed", 1)));
        side(SOAPY_SDR_TX).gains = {{"AMP", 0}, {"VGA", 0}};
        side(SOAPY_SDR_RX).gains = {{"LNA", 0}, {"VGA", 0}};
        for (int direction : {SOAPY_SDR_TX, SOAPY_SDR_RX}) {
            side(direction).antenna = listAntennas(direction, 0).front();
            retune(side(direction));
        }
    }

    std::string getDriverKey() const override { return d_driver; }
    std::string getHardwareKey() const override { return "simulated"; }
    std::size_t getNumChannels(int) const override { return 1; }
    bool getFullDuplex(int, std::size_t) const override { return true; }

    // Settings

    std::vector<std::string> listAntennas(int direction, std::size_t) const override
    {
        return direction == SOAPY_SDR_TX ? std::vector<std::string>{"TX/RX"}
                                         : std::vector<std::string>{"RX2", "TX/RX"};
    }
    void setAntenna(int direction, std::size_t, const std::string& name) override
    {
        const auto known = listAntennas(direction, 0);
        if (std::find(known.begin(), known.end(), name) == known.end())
            throw std::runtime_error("diffsemsim: there is no antenna " + name);
        side(direction).antenna = name;
    }
    std::string getAntenna(int direction, std::size_t) const override
    {
        return side(direction).antenna;
    }
    bool hasDCOffsetMode(int direction, std::size_t) const override
    {
        return direction == SOAPY_SDR_RX;
    }
    bool hasFrequencyCorrection(int, std::size_t) const override { return true; }
    void setFrequencyCorrection(int direction, std::size_t, double value) override
    {
        side(direction).correction = value;
        retune(side(direction));
    }
    double getFrequencyCorrection(int direction, std::size_t) const override
    {
        return side(direction).correction;
    }
    std::vector<std::string> listGains(int direction, std::size_t) const override
    {
        std::vector<std::string> out;
        for (const auto& g : side(direction).gains)
            out.push_back(g.first);
        return out;
    }
    SoapySDR::Range getGainRange(int direction, std::size_t, const std::string& name) const override
    {
        if (name == "AMP")
            return {0, 14, 14};
        if (name == "LNA")
            return {0, 40, 1};
        return {0, direction == SOAPY_SDR_TX ? 47.0 : 62.0, 1};
    }
    void setGain(int direction, std::size_t, const std::string& name, const double value) override
    {
        const std::lock_guard<std::mutex> lock(d_mutex);
        const auto range = getGainRange(direction, 0, name);
        const double amplifier = value > 0 ? range.maximum() : 0; // it is on or off
        const double other = std::clamp(value, range.minimum(), range.maximum());
        side(direction).gains.at(name) = name == "AMP" ? amplifier : other;
    }
    double getGain(int direction, std::size_t, const std::string& name) const override
    {
        return side(direction).gains.at(name);
    }
    void setFrequency(int direction,
                      std::size_t,
                      const std::string&,
                      double frequency,
                      const SoapySDR::Kwargs&) override
    {
        const std::lock_guard<std::mutex> lock(d_mutex);
        side(direction).tuning.frequency = frequency;
    }
    double getFrequency(int direction, std::size_t, const std::string&) const override
    {
        return side(direction).tuning.frequency;
    }
    std::vector<std::string> listFrequencies(int, std::size_t) const override { return {"RF"}; }
    SoapySDR::RangeList getFrequencyRange(int, std::size_t, const std::string&) const override
    {
        return {{1e6, 6e9}};
    }
    void setSampleRate(int direction, std::size_t, double rate) override
    {
        if (!(rate >= slowest && rate <= fastest))
            throw std::runtime_error("diffsemsim: no sample rate of " + std::to_string(rate));
        const std::lock_guard<std::mutex> lock(d_mutex);
        side(direction).tuning.rate = rate;
    }
    double getSampleRate(int direction, std::size_t) const override
    {
        return side(direction).tuning.rate;
    }
    SoapySDR::RangeList getSampleRateRange(int, std::size_t) const override
    {
        return {{slowest, fastest}};
    }
    void setBandwidth(int direction, std::size_t, double bandwidth) override
    {
        side(direction).bandwidth = bandwidth;
    }
    double getBandwidth(int direction, std::size_t) const override
    {
        return side(direction).bandwidth;
    }
    SoapySDR::RangeList getBandwidthRange(int, std::size_t) const override
    {
        return {{slowest, fastest}};
    }
    bool hasHardwareTime(const std::string&) const override { return true; }
    long long getHardwareTime(const std::string&) const override
    {
        return static_cast<long long>(1e9 * now());
    }

    // Streams

    std::vector<std::string> getStreamFormats(int, std::size_t) const override
    {
        return {SOAPY_SDR_CF32};
    }
    std::string getNativeStreamFormat(int, std::size_t, double& full) const override
    {
        full = 1;
        return SOAPY_SDR_CF32;
    }
    SoapySDR::Stream* setupStream(int direction,
                                  const std::string& format,
                                  const std::vector<std::size_t>& channels,
                                  const SoapySDR::Kwargs&) override
    {
        if (format != SOAPY_SDR_CF32 || channels.size() > 1)
            throw std::runtime_error("diffsemsim: one channel of CF32, not " + format);
        return reinterpret_cast<SoapySDR::Stream*>(&side(direction));
    }
    void closeStream(SoapySDR::Stream* stream) override { deactivateStream(stream, 0, 0); }
    std::size_t getStreamMTU(SoapySDR::Stream*) const override { return block; }
    int activateStream(SoapySDR::Stream* stream, int, long long, std::size_t) override
    {
        Side& s = of(stream);
        s.began = d_quiet = now();
        s.given = 0;
        d_dry = true;
        if (is_tx(s) && !d_uplink)
            d_uplink = std::make_unique<Uplink>(d_air);
        if (!is_tx(s) && !d_downlink)
            d_downlink = std::make_unique<Downlink>(d_air);
        return 0;
    }
    int deactivateStream(SoapySDR::Stream* stream, int, long long) override
    {
        if (is_tx(of(stream)))
            d_uplink.reset();
        else
            d_downlink.reset();
        return 0;
    }
    int readStream(SoapySDR::Stream* stream,
                   void* const* buffers,
                   std::size_t n,
                   int& flags,
                   long long& time_ns,
                   long timeout_us) override
    {
        flags = 0;
        if (is_tx(of(stream)))
            return SOAPY_SDR_STREAM_ERROR;
        if (!d_downlink) { // stopped: UHD reads on until nothing comes
            sleep(1e-6 * timeout_us);
            return SOAPY_SDR_TIMEOUT;
        }
        auto* out = static_cast<cfloat*>(buffers[0]);
        const Tuning here = copy(SOAPY_SDR_RX);
        n = std::min(n, block);
        const int got = d_paced ? paced(out, n, here, 1e-6 * timeout_us)
                                : waited(out, n, here, 1e-6 * timeout_us);
        if (got <= 0)
            return got;
        Side& s = of(stream);
        time_ns = static_cast<long long>(1e9 * (s.began + s.given / here.rate));
        flags = SOAPY_SDR_HAS_TIME;
        s.given += got;
        convert(out, static_cast<std::size_t>(got));
        return got;
    }
    int writeStream(SoapySDR::Stream* stream,
                    const void* const* buffers,
                    std::size_t n,
                    int&,
                    long long,
                    long timeout_us) override
    {
        Side& s = of(stream);
        if (!is_tx(s) || !d_uplink)
            return SOAPY_SDR_STREAM_ERROR;
        n = std::min(n, block);
        const Tuning here = copy(SOAPY_SDR_TX);
        const double loud = (s.gain() - number("at_gain", 0)) / 20;
        const auto* in = static_cast<const cfloat*>(buffers[0]);
        d_sent.resize(n);
        for (std::size_t i = 0; i < n; i++)
            d_sent[i] = quantised(in[i]) * static_cast<float>(std::pow(10.0, loud) / nominal_rms);
        if (!d_paced) // a tenth of a second: who stops a flowgraph does not wait for a receiver
            return d_uplink->send(here, d_sent.data(), n, std::min(1e-6 * timeout_us, 0.1))
                       ? static_cast<int>(n)
                       : SOAPY_SDR_TIMEOUT;
        const double ahead = s.given / here.rate - (now() - s.began);
        if (ahead < 0) { // an underrun: the clock went on
            s.began = now();
            s.given = 0;
        }
        sleep(ahead - lead);
        s.given += static_cast<double>(n);
        if (!d_uplink->send(here, d_sent.data(), n, 0))
            d_uplink->forget();
        return static_cast<int>(n);
    }

private:
    Side& side(int direction) { return d_sides[direction == SOAPY_SDR_TX]; }
    const Side& side(int direction) const { return d_sides[direction == SOAPY_SDR_TX]; }
    static Side& of(SoapySDR::Stream* stream) { return *reinterpret_cast<Side*>(stream); }
    bool is_tx(const Side& s) const { return &s == &d_sides[1]; }

    double number(const std::string& name, double otherwise) const
    {
        const auto found = d_args.find(name);
        if (found == d_args.end() || found->second.empty())
            return otherwise;
        char* end = nullptr;
        const double value = std::strtod(found->second.c_str(), &end);
        if (*end)
            throw std::runtime_error("diffsemsim: " + name + "=" + found->second + " is no number");
        return value;
    }
    void retune(Side& s)
    {
        const std::lock_guard<std::mutex> lock(d_mutex);
        s.tuning.ppm = number("ppm", 0);
        s.tuning.carrier_ppm = s.tuning.ppm - s.correction;
    }
    Tuning copy(int direction)
    {
        const std::lock_guard<std::mutex> lock(d_mutex);
        return side(direction).tuning;
    }

    //! Samples when there are any; after a quarter of a second without, noise at its own pace.
    int waited(cfloat* out, std::size_t n, const Tuning& here, double seconds)
    {
        const double until = d_quiet + hang;
        std::size_t ready = d_downlink->wait(here, std::min(seconds, std::max(until - now(), 0.0)));
        const double time = now();
        if (ready) {
            d_quiet = time;
        } else if (time < until) {
            return SOAPY_SDR_TIMEOUT;
        } else {
            ready = d_downlink->wait(here, 0.01);
            if (ready)
                d_quiet = now();
            else
                ready = static_cast<std::size_t>(0.01 * here.rate);
        }
        n = std::min(n, ready);
        d_downlink->receive(out, n, here, number("offset", 0));
        return static_cast<int>(n);
    }

    //! As many samples as the clock says; zeros for what was not sent in time.
    int paced(cfloat* out, std::size_t n, const Tuning& here, double seconds)
    {
        Side& s = side(SOAPY_SDR_RX);
        const auto due = [&] { return (now() - s.began) * here.rate - s.given; };
        const double wanted = std::min(static_cast<double>(n), 1e-3 * here.rate);
        sleep(std::min(seconds, (wanted - due()) / here.rate));
        if (due() < 1)
            return SOAPY_SDR_TIMEOUT;
        const bool late = due() > 0.5 * here.rate;
        if (late) { // nobody read: what came meanwhile is lost
            std::vector<cfloat> lost(block);
            for (double rest = due(); rest > block; rest -= block) {
                d_downlink->wait(here, 0);
                d_downlink->receive(lost.data(), block, here, number("offset", 0));
                s.given += block;
            }
            return SOAPY_SDR_OVERFLOW;
        }
        n = std::min(n, static_cast<std::size_t>(due()));
        const std::size_t ready = d_downlink->wait(here, 0);
        if (d_dry && d_downlink->waiting() < latency) {
            std::fill(out, out + n, cfloat(0));
        } else {
            d_downlink->receive(out, n, here, number("offset", 0));
            d_dry = ready < n;
        }
        return static_cast<int>(n);
    }

    //! Noise of the receiver, its gain, its converter.
    void convert(cfloat* x, std::size_t n)
    {
        const double gain = side(SOAPY_SDR_RX).gain();
        const float scale = static_cast<float>(level * std::pow(10, (gain - nominal_gain) / 20));
        const float sigma = static_cast<float>(std::sqrt(d_noise_var / 2));
        for (std::size_t i = 0; i < n; i++)
            x[i] = quantised(scale * (x[i] + sigma * cfloat(d_normal(d_rng), d_normal(d_rng))));
    }
    static cfloat quantised(cfloat x)
    {
        const auto one = [](float v) {
            return std::round(std::clamp(v, -1.0f, 1.0f) * static_cast<float>(full_scale)) /
                   static_cast<float>(full_scale);
        };
        return {one(x.real()), one(x.imag())};
    }

    const SoapySDR::Kwargs d_args;
    std::string d_driver, d_air;
    bool d_paced = false;
    double d_noise_var = 0;
    Side d_sides[2];
    std::mutex d_mutex; // of the settings that a running stream uses
    std::mt19937 d_rng;
    std::normal_distribution<float> d_normal;

    std::unique_ptr<Uplink> d_uplink;
    std::unique_ptr<Downlink> d_downlink;
    std::vector<cfloat> d_sent;
    double d_quiet = 0; // since when nothing came, s
    bool d_dry = true;
};

SoapySDR::Kwargs with_environment(const std::string& driver, const SoapySDR::Kwargs& args)
{
    const char* more = std::getenv("DIFFSEMSIM");
    SoapySDR::Kwargs out = SoapySDR::KwargsFromString(more ? more : "");
    for (const auto& a : args)
        out[a.first] = a.second;
    out["driver"] = driver;
    out["label"] = "simulated radio of gr-diffsem's tests";
    return out;
}

template <int which>
struct Driver {
    static const char* name() { return which ? "hackrf" : "diffsemsim"; }
    static SoapySDR::KwargsList find(const SoapySDR::Kwargs& args)
    {
        return {with_environment(name(), args)};
    }
    static SoapySDR::Device* make(const SoapySDR::Kwargs& args)
    {
        return new Radio(with_environment(name(), args));
    }
};

SoapySDR::Registry simulated("diffsemsim", Driver<0>::find, Driver<0>::make, SOAPY_SDR_ABI_VERSION);
SoapySDR::Registry hackrf("hackrf", Driver<1>::find, Driver<1>::make, SOAPY_SDR_ABI_VERSION);

} // namespace
