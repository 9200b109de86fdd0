/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scheme/graph_codec.h"

#include "onnx/signal_graph.h"

#include <gnuradio/diffsem/core/base/philox.h>

#include <algorithm>
#include <cmath>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr std::size_t trials =
    4; // latents, white and of unit power, that must decode to something finite

std::string text(const std::vector<std::int64_t>& shape)
{
    std::string t = "[";
    for (std::size_t i = 0; i < shape.size(); i++)
        t += (i ? ", " : "") + std::to_string(shape[i]);
    return t + "]";
}

const char* name_of(Domain domain)
{
    return domain == Domain::complex ? "complex" : "real";
}

class GraphCodec : public Codec
{
public:
    GraphCodec(const Fields& fields, const SignalShape& signal)
    {
        const LoadOptions& options = fields.load_options();
        const OnnxFile file = read_onnx_file(fields.file("decoder"), options.max_model_bytes);
        const SignalPort latent = read_signal_port(file, "decoder");
        if (latent.domain != signal.domain || latent.shape != signal.shape)
            throw Error(fields.where() + ".decoder: " + file.path + " decodes latents that are " +
                        name_of(latent.domain) + " " + text(latent.shape) + ", 'signal' says " +
                        name_of(signal.domain) + " " + text(signal.shape) +
                        ": the signal of a scheme with a codec is its latent");
        SignalPort content;
        content.domain = Domain::real;
        d_decoder = std::make_unique<SignalGraph>(
            file, std::vector<SignalPort>{latent}, content, OrtOptions(options));
        if (fields.has("encoder"))
            take_encoder(fields, latent, options);
        try_out(fields, latent);
    }

    const std::vector<std::int64_t>& content_shape() const override
    {
        return d_decoder->output().shape;
    }
    bool has_encoder() const override { return d_encoder != nullptr; }
    void encode(const float* content, std::size_t items, float* latent) const override
    {
        if (!d_encoder)
            throw Error(d_decoder->path() +
                        " is a decoder without an encoder: name one as 'encoder' "
                        "in the member's 'codec'");
        d_encoder->run(content, items, latent);
    }
    void decode(const float* latent, std::size_t items, float* content) const override
    {
        d_decoder->run(latent, items, content);
    }
    void reserve(std::size_t callers) const override { d_decoder->reserve(callers); }

private:
    void take_encoder(const Fields& fields, const SignalPort& latent, const LoadOptions& options)
    {
        const OnnxFile file = read_onnx_file(fields.file("encoder"), options.max_model_bytes);
        const SignalPort content = read_signal_port(file, "encoder");
        if (content.domain != Domain::real || content.shape != content_shape())
            throw Error(fields.where() + ".encoder: " + file.path + " encodes " +
                        name_of(content.domain) + " content " + text(content.shape) + ", " +
                        d_decoder->path() + " decodes to real " + text(content_shape()) +
                        ": name the two that were exported together");
        d_encoder = std::make_unique<SignalGraph>(
            file, std::vector<SignalPort>{content}, latent, OrtOptions(options));
        if (d_encoder->output().shape != latent.shape)
            throw Error(fields.where() + ".encoder: " + file.path + " gives latents " +
                        text(d_encoder->output().shape) + ", " + d_decoder->path() + " takes " +
                        text(latent.shape) + ": name the two that were exported together");
    }

    void try_out(const Fields& fields, const SignalPort& latent) const
    {
        const Rng rng(1);
        std::vector<float> z(trials * latent.width()),
            content(trials * element_count(content_shape()));
        for (std::size_t i = 0; i < trials; i++)
            rng.fill(i, 0, latent.domain, latent.elements(), z.data() + i * latent.width());
        const auto check = [&](const std::vector<float>& values, const std::string& path) {
            if (!std::all_of(
                    values.begin(), values.end(), [](float v) { return std::isfinite(v); }))
                throw Error(fields.where() + ": " + path +
                            " gives what is not finite for ordinary input: export it again");
        };
        decode(z.data(), trials, content.data());
        check(content, d_decoder->path());
        if (!d_encoder)
            return;
        encode(content.data(), trials, z.data());
        check(z, d_encoder->path());
    }

    std::unique_ptr<const SignalGraph> d_encoder, d_decoder;
};

} // namespace

const std::vector<std::string>& codec_keys()
{
    static const std::vector<std::string> keys = {"encoder", "decoder"};
    return keys;
}

std::shared_ptr<const Codec> read_codec(const Fields& fields, const SignalShape& signal)
{
    if (!fields.has("decoder"))
        throw Error(fields.where() + ": the key 'decoder' is missing: name the graph that makes "
                                     "content of the latent, or leave 'codec' out");
    return std::make_shared<GraphCodec>(fields, signal);
}

} // namespace core
} // namespace diffsem
} // namespace gr
