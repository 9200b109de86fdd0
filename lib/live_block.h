/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What every block does that keeps a ledger of its inferences. Private.
 */
#pragma once

#include "inference_ledger.h"

namespace gr {
namespace diffsem {

//! Between a block's public class and its implementation, which owns the ledger.
template <typename Block>
class live_block : public Block
{
public:
    live_inference& live() override { return ledger(); }

    bool start() override
    {
        ledger().start();
        return gr::block::start();
    }
    bool stop() override
    {
        ledger().stop();
        return gr::block::stop();
    }

private:
    virtual inference_ledger& ledger() = 0;
};

} // namespace diffsem
} // namespace gr
