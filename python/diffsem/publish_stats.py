# SPDX-License-Identifier: GPL-3.0-or-later
"""The `stats` of a flowgraph's blocks on one ZMQ socket, for `gr-diffsem top`."""

import pmt
from gnuradio import gr, zeromq


def publish_stats(tb, blocks=None, address="tcp://127.0.0.1:5590"):
    """Connect the port ``stats`` of blocks to one stock ``zeromq.pub_msg_sink``, before ``tb`` starts; returns that.

    blocks: those to publish, of a hier block its parts; None: every block that is an attribute of ``tb``, as all of a
    flowgraph of the companion are. address: where the sink binds; with port 0 the system chooses one, and the
    sink's ``last_endpoint()`` names it. Nothing is authenticated or encrypted: whoever reaches the address reads along.
    A subscriber that is slow or away costs nothing.

    Raises ValueError naming the parameter, its value and the remedy.
    """
    chosen = {}
    for block in vars(tb).values() if blocks is None else blocks:
        parts = dict(_parts(block))
        if not parts and blocks is not None:
            raise ValueError(f"blocks holds {block!r}, which has no message port 'stats': leave it out")
        chosen.update(parts)
    if not chosen:
        raise ValueError(
            "blocks is empty: give the blocks to publish as a list"
            if blocks is not None
            else "blocks is None, and no attribute of tb is a block with a message port 'stats': give the blocks to "
            "publish as a list (blocks=[estimator])"
        )
    try:
        sink = zeromq.pub_msg_sink(address, 100, True)
    except (RuntimeError, TypeError) as e:
        raise ValueError(
            f"address is {address!r}, which cannot be bound ({e}): give a free one, for example tcp://127.0.0.1:5590"
        ) from None
    for block in chosen.values():
        tb.msg_connect((block, "stats"), (sink, "in"))
    return sink


def _parts(block, above=()):
    """(alias, block) of the block itself if it has the port, or of those that a hier block holds."""
    if isinstance(block, gr.hier_block2):
        for part in list(vars(block).values()):
            if part not in above:  # one may know its parent
                yield from _parts(part, (*above, block))
    elif hasattr(block, "message_ports_out") and "stats" in pmt.to_python(block.message_ports_out()):
        yield block.alias(), block
