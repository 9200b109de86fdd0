/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The C interface of ONNX Runtime, as C++ would have it.
 */
#pragma once

#include "onnx/ort_library.h"
#include "realtime/watchdog.h"

#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! Owns one object of the C interface.
template <typename T>
class Handle
{
public:
    Handle() = default;
    Handle(T* object, void (*release)(T*)) : d_object(object), d_release(release) {}
    Handle(Handle&& other) noexcept : d_object(other.d_object), d_release(other.d_release)
    {
        other.d_object = nullptr;
    }
    Handle& operator=(Handle&& other) noexcept
    {
        std::swap(d_object, other.d_object);
        std::swap(d_release, other.d_release);
        return *this;
    }
    ~Handle()
    {
        if (d_object)
            d_release(d_object);
    }
    T* get() const { return d_object; }

private:
    T* d_object = nullptr;
    void (*d_release)(T*) = nullptr;
};

//! Turns a status of the C interface into our exception; `what` names who was affected.
class Checked
{
public:
    Checked(const OrtApi* api, const std::string& path) : d_api(api), d_path(path) {}
    void operator()(OrtStatus* status, const char* doing) const
    {
        if (!status)
            return;
        const std::string message = d_api->GetErrorMessage(status);
        d_api->ReleaseStatus(status);
        throw Error(d_path + ": ONNX Runtime " + doing + ": " + message);
    }

private:
    const OrtApi* d_api;
    const std::string& d_path;
};

//! Calls Run within the session's time limit. One call at a time.
class LimitedRun
{
public:
    //! \p session and \p path must outlive it.
    LimitedRun(const OrtApi* api, ::OrtSession* session, const std::string& path, double seconds)
        : d_api(api),
          d_session(session),
          d_path(path),
          d_options(make_options()),
          d_watch(seconds, [this] { ignore(d_api->RunOptionsSetTerminate(d_options.get())); })
    {
    }

    void operator()(const std::vector<const char*>& input_names,
                    const OrtValue* const* inputs,
                    const std::vector<const char*>& output_names,
                    OrtValue** outputs,
                    const char* doing)
    {
        d_watch.begin();
        OrtStatus* status = d_api->Run(d_session,
                                       d_options.get(),
                                       input_names.data(),
                                       inputs,
                                       input_names.size(),
                                       output_names.data(),
                                       output_names.size(),
                                       outputs);
        if (d_watch.finish()) {
            ignore(d_api->RunOptionsUnsetTerminate(d_options.get()));
            if (status) {
                ignore(status);
                std::ostringstream limit;
                limit << d_watch.seconds();
                throw Error(d_path + ": a run took longer than " + limit.str() +
                            " s and was ended; use a smaller network, or raise run_limit");
            }
        }
        Checked(d_api, d_path)(status, doing);
    }

private:
    Handle<OrtRunOptions> make_options() const
    {
        OrtRunOptions* options = nullptr;
        Checked(d_api, d_path)(d_api->CreateRunOptions(&options), "run options");
        // What goes wrong becomes an exception of ours, and a line in GNU Radio's log at a limited rate.
        ignore(d_api->RunOptionsSetRunLogSeverityLevel(options, ORT_LOGGING_LEVEL_FATAL));
        return Handle<OrtRunOptions>(options, d_api->ReleaseRunOptions);
    }
    void ignore(OrtStatus* status) const
    {
        if (status)
            d_api->ReleaseStatus(status);
    }

    const OrtApi* d_api;
    ::OrtSession* d_session;
    const std::string& d_path;
    Handle<OrtRunOptions> d_options;
    Watch d_watch;
};

} // namespace core
} // namespace diffsem
} // namespace gr
