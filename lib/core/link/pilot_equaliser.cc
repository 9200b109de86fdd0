/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/link/pilot_equaliser.h>

#include <utility>

namespace gr {
namespace diffsem {
namespace core {

PilotEqualiser::PilotEqualiser(std::vector<std::uint8_t> occupied,
                               std::vector<Pilots> pilots,
                               float memory)
    : d_occupied(std::move(occupied)),
      d_pilots(std::move(pilots)),
      d_phase(memory)
{
}

void PilotEqualiser::divide(cfloat& y, cfloat h) const
{
    const float power = std::norm(h);
    y = power > 0 ? y * std::conj(h) / power : cfloat(0, 0);
}

void PilotEqualiser::run(cfloat* frame, int symbols, std::size_t first, cfloat* channel)
{
    const std::size_t n = d_occupied.size(), sets = d_pilots.size();
    const Pilots none;
    const auto pilots_of = [&](int s) -> const Pilots& {
        return sets ? d_pilots[(first + s) % sets] : none;
    };

    d_turns.assign(symbols, 0);
    for (int s = 0; s < symbols; s++)
        for (const auto& pilot : pilots_of(s))
            d_turns[s] +=
                std::conj(channel[pilot.carrier] * pilot.value) * frame[s * n + pilot.carrier];
    d_phase.track(d_turns);

    for (int s = 0; s < symbols; s++) {
        cfloat* symbol = frame + s * n;
        for (std::size_t k = 0; k < n; k++)
            if (d_occupied[k])
                divide(symbol[k], channel[k] * d_turns[s]);
        for (const auto& pilot : pilots_of(s))
            if (!d_occupied[pilot.carrier])
                divide(symbol[pilot.carrier], channel[pilot.carrier] * d_turns[s]);
    }
    if (symbols > 0)
        for (std::size_t k = 0; k < n; k++)
            channel[k] *= d_turns[symbols - 1];
}

} // namespace core
} // namespace diffsem
} // namespace gr
