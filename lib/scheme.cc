/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/scheme/load_scheme.h>
#include <gnuradio/diffsem/scheme.h>
#include <gnuradio/prefs.h>

namespace gr {
namespace diffsem {

scheme::sptr scheme::make(const std::string& spec,
                          const std::string& models_path,
                          const std::string& onnxruntime)
{
    core::LoadOptions options;
    auto prefs = gr::prefs::singleton();
    options.models_path =
        models_path.empty() ? prefs->get_string("diffsem", "models_path", "") : models_path;
    options.onnxruntime =
        onnxruntime.empty() ? prefs->get_string("diffsem", "onnxruntime", "") : onnxruntime;
    return sptr(new scheme(spec, options));
}

scheme::sptr scheme::other(const std::string& spec) const
{
    return sptr(new scheme(spec, d_options));
}

scheme::scheme(const std::string& spec, const core::LoadOptions& options)
    : d_spec(spec),
      d_options(options)
{
}

std::shared_ptr<const core::Scheme> scheme::get()
{
    std::lock_guard<std::mutex> lock(d_mutex);
    if (!d_scheme)
        d_scheme = core::load_scheme(d_spec, d_options);
    return d_scheme;
}

} // namespace diffsem
} // namespace gr
