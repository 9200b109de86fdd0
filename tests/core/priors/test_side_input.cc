/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a conditional prior declares, and classifier-free guidance of one whose answer is known: D(x, c) = x / 2 + c.
 */
#include "check.h"

#include "priors/classifier_free.h"

#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/core/priors/side_input.h>

#include <vector>

using namespace gr::diffsem::core;

namespace {

std::vector<SideInput> read(const char* json)
{
    return read_side_inputs(Json::parse(json), "here");
}

void declarations()
{
    CHECK_EQUAL(read_side_inputs(Json(), "here").size(), 0u);
    const auto inputs = read(R"([{"name": "class", "type": "int64", "shape": [], "null": -1},
                                 {"name": "map", "shape": [2, 3]},
                                 {"name": "before", "from": "previous", "null": 0}])");
    CHECK_EQUAL(inputs.size(), 3u);
    CHECK(inputs[0].integer && inputs[0].count == 1 && inputs[0].null == std::vector<float>{-1});
    CHECK(!inputs[1].integer && inputs[1].count == 6 && inputs[1].null.empty());
    CHECK(inputs[2].previous && !inputs[0].previous);
    const float values[] = {1, 2, 3, 4, 5, 6};
    inputs[1].check(values, 6);
    CHECK_THROWS(inputs[1].check(values, 5), {"'map' takes 6 values, 5 were given"});
    const float half = 0.5f, large = 1e9f;
    CHECK_THROWS(inputs[0].check(&half, 1), {"'class' takes whole numbers", "0.5"});
    CHECK_THROWS(inputs[0].check(&large, 1), {"whole numbers up to 2^24"});
    const auto ranges =
        read(R"([{"name": "class", "type": "int64", "null": -1, "least": 0, "most": 9},
                                 {"name": "speed", "least": 0}])");
    for (const float fits : {-1.0f, 0.0f, 9.0f}) // -1 is: not told
        ranges[0].check(&fits, 1);
    for (const float wrong : {-2.0f, 10.0f, 1000.0f})
        CHECK_THROWS(ranges[0].check(&wrong, 1), {"'class' takes values of 0 .. 9", "was given"});
    const float below = -0.5f, above = 1e6f;
    ranges[1].check(&above, 1);
    CHECK_THROWS(ranges[1].check(&below, 1), {"values from 0, -0.5 was given"});
}

void refusals()
{
    CHECK_THROWS(read("{}"), {"here must be a list such as"});
    CHECK_THROWS(read("[3]"), {"here[0] must be an object"});
    CHECK_THROWS(read(R"([{"type": "int64"}])"), {"here[0]", "name"});
    CHECK_THROWS(read(R"([{"name": "a b"}])"), {"name", "letters"});
    CHECK_THROWS(read(R"([{"name": "a", "shape": [0]}])"), {"shape", "sizes"});
    CHECK_THROWS(read(R"([{"name": "a", "shape": [1e9, 1e9]}])"), {"shape", "sizes"});
    CHECK_THROWS(read(R"([{"name": "a", "null": "x"}])"), {"null", "number"});
    CHECK_THROWS(read(R"([{"name": "a", "null": []}])"), {"null", "number"});
    CHECK_THROWS(read(R"([{"name": "a", "type": "int64", "from": "previous"}])"), {"float32"});
    CHECK_THROWS(read(R"([{"name": "a", "from": "previous", "null": [0, 0]}])"), {"null"});
}

class Shifted : public Prior
{
public:
    Shifted()
    {
        d_traits.domain = Domain::real;
        d_traits.shape = {2};
        d_traits.conditions = read(R"([{"name": "c", "null": 0.25}, {"name": "d"}])");
    }
    const char* type() const override { return "shifted"; }
    const Traits& traits() const override { return d_traits; }
    std::unique_ptr<Workspace> make_workspace(std::size_t) const override
    {
        return std::make_unique<Workspace>();
    }
    void denoise(const Tensor& x, const Sigma&, Workspace& workspace, Estimate& out) const override
    {
        out.set_batch(x.batch());
        out.has_variance = false;
        const Tensor& c = workspace.context->find("c")->x;
        const Tensor& d = workspace.context->find("d")->x;
        for (std::size_t b = 0; b < x.batch(); b++)
            for (std::size_t i = 0; i < 2; i++)
                out.mean.item(b)[i] = 0.5f * x.item(b)[i] + c.item(b)[0] + d.item(b)[0];
    }

private:
    Traits d_traits;
};

void guidance()
{
    const auto prior = std::make_shared<Shifted>();
    CHECK(make_classifier_free(prior, 1) == prior);
    const auto guided = make_classifier_free(prior, 3);
    CHECK_EQUAL(guided->traits().evaluations, 2);
    const auto space = guided->make_workspace(4);
    State told;
    told.add("c", nullptr, Tensor(Domain::real, {1}, 2), Sigma());
    told.add(
        "d", nullptr, Tensor(Domain::real, {1}, 1), Sigma()); // one for all, and without a null
    told.find("c")->x.item(0)[0] = 1;
    told.find("c")->x.item(1)[0] = 2;
    told.find("d")->x.item(0)[0] = 10;
    space->context = &told;
    Tensor x(Domain::real, {2}, 2);
    for (std::size_t j = 0; j < 4; j++)
        x.data()[j] = float(j);
    Estimate out(Domain::real, {2}, 4);
    guided->denoise(x, Sigma(2, 1, 1.0f), *space, out);
    for (std::size_t b = 0; b < 2; b++) {
        const double null = 0.25, c = double(b) + 1;
        for (std::size_t i = 0; i < 2; i++)
            CHECK_NEAR(
                out.mean.item(b)[i], 0.5 * double(2 * b + i) + 10 + null + 3 * (c - null), 1e-6);
    }
}

} // namespace

int main()
{
    declarations();
    refusals();
    guidance();
    return check::result("side_input");
}
