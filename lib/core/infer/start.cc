/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/infer/start.h>

#include <vector>

namespace gr {
namespace diffsem {
namespace core {

const std::vector<const StartEntry*>& starts()
{
    static const Key sigma = {
        "sigma", "the level, relative to a signal of unit power (the plan's sigma_max)"};
    static const StartEntry matched = {{"matched",
                                        "The measurement itself, each element at the level of its "
                                        "own noise. Behind `transform`: linear MMSE under "
                                        "the spectrum that comes along, at the level of its error.",
                                        {{"noise_updates",
                                          "0 .. 20: steps of expectation maximisation for the told "
                                          "noise variance; `matched` only (0)"}}},
                                       true,
                                       false},
                            noise = {{"noise",
                                      "Pure noise, or its mean where the sampler seeks a mean; the "
                                      "measurement comes in by conditioning.",
                                      {{"full_power",
                                        "the state has the power of signal and noise together, 1 + "
                                        "sigma^2, as variance-preserving samplers begin (false)",
                                        true}}},
                                     false,
                                     false},
                            level = {{"level", "As `matched`, at a level that is given.", {sigma}},
                                     true,
                                     true},
                            renoise = {{"renoise",
                                        "A coarse linear estimate plus noise of a level that is "
                                        "given; conditioned on the measurement.",
                                        {sigma}},
                                       false,
                                       true};
    static const std::vector<const StartEntry*> table = {&matched, &noise, &level, &renoise};
    return table;
}

} // namespace core
} // namespace diffsem
} // namespace gr
