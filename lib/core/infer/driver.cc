/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <gnuradio/diffsem/core/infer/driver.h>

#include <algorithm>
#include <string>
#include <vector>

namespace gr {
namespace diffsem {
namespace core {

namespace {

constexpr int most_rounds = 1000;

/*
 * In turn. While the errors are large they count as noise of y, so that no look is believed more than it deserves; the last
 * rounds then climb the mean-field bound on log p(y) (Bishop 2006, ch. 10.1), which also counts that y was used before. A
 * single round, which never uses y twice, has no such end.
 */
void alternate(const DriverParameters& p, int rounds, std::vector<Update>& out)
{
    out.clear();
    const int settle = p.settle < 0 ? rounds / 2 : p.settle * rounds / p.rounds;
    for (int round = 0; round < rounds; round++)
        for (std::size_t unknown : p.order)
            out.push_back(
                {unknown, round < rounds - settle ? Uncertainty::noise : Uncertainty::mean_field});
}

const DriverEntry& alternate_driver()
{
    static const DriverEntry e{
        {"alternate",
         "One unknown after the other, each seeing the others' means and variances; "
         "docs/openings/several_unknowns.md.",
         {{"rounds", "1 to 1000 (10)"},
          {"settle", "of them, the last so many by mean field (half)"},
          {"order", "names of the unknowns in the order of one round (as the operator has them)"}}},
        alternate};
    return e;
}

} // namespace

const std::vector<const DriverEntry*>& drivers()
{
    static const std::vector<const DriverEntry*> table = {&alternate_driver()};
    return table;
}

DriverParameters read_driver(const Fields& f, const std::vector<std::string>& unknowns)
{
    DriverParameters p;
    p.rounds = f.integer("rounds", p.rounds);
    if (p.rounds < 1 || p.rounds > most_rounds)
        f.fail("rounds", "must lie in 1 .. " + std::to_string(most_rounds));
    p.settle = f.integer("settle", -1);
    if (f.has("settle") && (p.settle < 0 || p.settle > p.rounds))
        f.fail("settle", "must lie in 0 .. rounds = " + std::to_string(p.rounds));
    const std::vector<std::string> order = f.has("order") ? f.names("order") : unknowns;
    for (const std::string& name : order) {
        const auto at = std::find(unknowns.begin(), unknowns.end(), name);
        if (at == unknowns.end())
            f.fail("order", "'" + name + "' is no unknown" + suggestion(name, unknowns));
        p.order.push_back(std::size_t(at - unknowns.begin()));
    }
    for (std::size_t u = 0; u < unknowns.size(); u++)
        if (std::find(p.order.begin(), p.order.end(), u) == p.order.end())
            f.fail("order", "'" + unknowns[u] + "' is never updated: name every unknown");
    return p;
}

} // namespace core
} // namespace diffsem
} // namespace gr
