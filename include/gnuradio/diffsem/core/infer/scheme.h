/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A scheme: one choice of prior, operator, start, sampler and plan.
 */
#pragma once

#include <gnuradio/diffsem/core/infer/codec.h>
#include <gnuradio/diffsem/core/infer/guidance.h>
#include <gnuradio/diffsem/core/infer/plan.h>
#include <gnuradio/diffsem/core/infer/sampler.h>
#include <gnuradio/diffsem/core/infer/start.h>
#include <gnuradio/diffsem/core/operators/operator.h>
#include <gnuradio/diffsem/core/priors/prior.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

//! What a scheme says of itself.
struct SchemeInfo {
    std::string spec;            //!< the string it was loaded from
    std::string package, member; //!< empty package for the built-in `ls`
    std::string title;
    std::string prior, op, start, sampler, plan; //!< registry names
    std::vector<std::int64_t> shape;   //!< one item; empty: any length (`ls`); -1: any size
    std::vector<std::int64_t> content; //!< shape of what the codec makes of x; empty: there is none
    bool complex_domain = true;
    bool measured_gain = false; //!< unknown input gain: normalised by measured power
    bool has_variance = false;  //!< the mean comes with a variance; else the variance is NaN
    bool image = false;         //!< photographs [3, -1, -1]: picture_receiver.h runs them
    bool guard = false;         //!< an answer that contradicts its measurement is replaced
    std::string guidance;       //!< registry name; empty: what fits prior and operator best
    std::string fallback;       //!< by this member, or "ls"; empty where nothing is ever replaced
    int fewest_observed = 0;    //!< where fewer elements are observed, the fallback answers
    int steps = 0; //!< of the plan; 0 for no prior, 1 for one step; rounds of several unknowns
    //! Of the network, of one item by the whole plan, with those of the guidance where the operator is known beforehand.
    int evaluations = 0;
    std::vector<float>
        levels; //!< of the plan from pure noise, and its end; empty: no prior, or measured
    std::string device = "cpu"; //!< of a network
    double max_model_mb = 512;  //!< larger files were refused
    //! Names and shapes of several unknowns, which JointEstimator infers; `shape` is y's then. Empty: one unknown.
    std::vector<std::pair<std::string, std::vector<std::int64_t>>> unknowns;
    std::string content_hash;  //!< SHA-256 of the package, hex
    std::string manifest_json; //!< the manifest or metadata as JSON text
};

class Scheme;
struct JointParts;

//! The five choices, checked against each other (scheme/load_scheme.h makes them).
struct SchemeParts {
    std::shared_ptr<const Prior> prior; //!< null: the start is the answer
    const OperatorEntry* op = nullptr;
    OperatorMaker make_operator;
    const StartEntry* start = nullptr;
    float start_sigma = 0;   //!< of a start that needs it
    bool full_power = false; //!< pure noise has the power of signal and noise
    int noise_updates = 0;
    const GuidanceEntry* guidance = nullptr; //!< null: the default for prior and operator
    std::map<std::string, double> guidance_keys;
    const SamplerEntry* sampler = nullptr;
    float eta = 0;
    std::map<std::string, double> sampler_keys;
    Plan plan{PlanParameters()};
    std::uint64_t seed = 0;
    std::shared_ptr<const Scheme> fallback; //!< another member; null: least squares
    std::shared_ptr<const Codec> codec;     //!< x is a latent of it; null: x is the content
    std::map<std::string, std::vector<float>>
        conditions;           //!< what the string says of the prior's side inputs
    float guidance_scale = 1; //!< of classifier-free guidance
    std::shared_ptr<const JointParts>
        joint; //!< of several unknowns: then nothing above but the seed holds
};

//! Immutable, shared between threads.
class Scheme
{
public:
    Scheme(SchemeInfo info, SchemeParts parts) : d_info(std::move(info)), d_parts(std::move(parts))
    {
    }
    const SchemeInfo& info() const { return d_info; }
    const SchemeParts& parts() const { return d_parts; }
    //! Number of complex (or real) elements of one item; 0: any, or of open size.
    std::size_t item_size() const;

private:
    SchemeInfo d_info;
    SchemeParts d_parts;
};

} // namespace core
} // namespace diffsem
} // namespace gr
