/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The air between simulated radios: samples go from process to process through a Unix socket, and
 * arrive with the oscillators' errors. What is behind the receiver's antenna (noise, gain, converter) is the
 * device's.
 */
#pragma once

#include <complex>
#include <cstdint>
#include <list>
#include <random>
#include <string>
#include <vector>

namespace diffsemsim {

using cfloat = std::complex<float>;

//! Where a radio is tuned, and how wrong its oscillator is: that moves carrier and sampling clock alike.
struct Tuning {
    double rate = 1e6;      //!< samples per second, as set
    double frequency = 0;   //!< Hz, as set
    double ppm = 0;         //!< of the sampling clock
    double carrier_ppm = 0; //!< of the carrier: the same, less what the radio was told to correct
};

//! The transmitter's end. Samples go to the receiver that listens, if there is one.
class Uplink
{
public:
    explicit Uplink(const std::string& air) : d_air(air) {}
    ~Uplink();
    Uplink(const Uplink&) = delete;
    Uplink& operator=(const Uplink&) = delete;

    /*!
     * False when not all could be handed over within \p seconds: because nobody listens, or the
     * receiver is slower. What was begun is finished by the next call.
     */
    bool send(const Tuning& tuning, const cfloat* samples, std::size_t n, double seconds);
    //! Drop what could not be handed over.
    void forget();

private:
    bool connect();
    bool flush(double seconds);

    std::string d_air;
    int d_socket = -1;
    bool d_heard = false;
    std::vector<char> d_waiting;
    std::size_t d_sent = 0;
};

//! What one transmitter sends, as the receiver's antenna hears it.
class Signal
{
public:
    explicit Signal(int socket) : d_socket(socket) {}

    //! Take what the socket has. False when the transmitter is gone and all is used up.
    bool pull(const Tuning& here);
    //! Samples of the receiver that could be made of what is here.
    std::size_t ready() const;
    //! Add \p n samples; where the transmitter gave none (an underrun, a pause) zeros are added.
    void add(cfloat* out, std::size_t n, const Tuning& here, double offset);
    //! How long something has been waiting, s.
    double waiting() const;

    int socket() const { return d_socket; }

private:
    int d_socket;
    bool d_gone = false;
    Tuning d_there;
    std::vector<char> d_bytes;     // of a message that is not whole
    std::vector<cfloat> d_samples; // at the transmitter's clock
    double d_step = 1;             // the transmitter's samples in one of the receiver's
    double d_position = 0, d_phase = 0, d_since = 0;
    bool d_heard = true;
};

//! The receiver's end: the sum of all that transmit.
class Downlink
{
public:
    //! Throws std::runtime_error where another receiver listens to this air.
    explicit Downlink(const std::string& air);
    ~Downlink();
    Downlink(const Downlink&) = delete;
    Downlink& operator=(const Downlink&) = delete;

    //! Wait up to \p seconds for samples, and take them. Returns how many samples every transmitter has.
    std::size_t wait(const Tuning& here, double seconds);
    //! How long something has been waiting, s; 0 when nothing is.
    double waiting() const;
    //! Exactly \p n samples, zeros where nothing was sent. \p offset: Hz, beside the oscillators' errors.
    void receive(cfloat* out, std::size_t n, const Tuning& here, double offset);

private:
    std::size_t ready() const;

    int d_socket = -1;
    std::list<Signal> d_signals;
};

double now(); //!< s, of a clock that is never set

} // namespace diffsemsim
