/*
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <gnuradio/diffsem/core/base/error.h>
#include <gnuradio/diffsem/set_nice.h>

#ifdef __linux__
#include <sys/resource.h>
#endif

namespace gr {
namespace diffsem {

namespace {

// In the block's own thread, where alone its number is known: on Linux 0 is the calling thread, not the process.
void give_way(gr::block& block, int nice)
{
#ifdef __linux__
    if (setpriority(PRIO_PROCESS, 0, nice) == 0)
        return;
#endif
    gr::logger log("diffsem");
    log.warn("block '{}' does not give way: its nice could not be made {}", block.alias(), nice);
}

} // namespace

void set_nice(const gr::block_sptr& block, int nice)
{
    static const pmt::pmt_t port = pmt::intern("diffsem_nice");
    if (!block)
        throw core::Error("block is missing: give a block");
    if (nice < 1 || nice > 19)
        throw core::Error("nice is " + std::to_string(nice) + ": must lie in 1 .. 19");
    if (!block->has_msg_port(port)) {
        if (block->detail()) // its thread may be walking the list of ports
            throw core::Error("block '" + block->alias() +
                              "' was started before: call this before the first start()");
        gr::block* raw = block.get(); // which the handler belongs to
        block->message_port_register_in(port);
        block->set_msg_handler(
            port, [raw](const pmt::pmt_t& message) { give_way(*raw, int(pmt::to_long(message))); });
    }
    block->_post(port, pmt::from_long(nice));
}

} // namespace diffsem
} // namespace gr
