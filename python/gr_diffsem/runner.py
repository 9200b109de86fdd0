# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a member of a package over arrays: through the C++ core, or through a block in a flowgraph."""

import numpy as np

from .errors import UserError

CHAINS = ("core", "block")
BLOCK_TIMEOUT = 600.0  # seconds: an exception in work() would leave a flowgraph waiting for ever


def estimate(spec, y, noise_var, observed=None, matrix=None, chain="core", seed=0):
    """(mean [R, N], variance [R, N] or None, evaluations) of a scheme on y [R, M].

    noise_var: variance per complex element of y, one number. `chain` is one of CHAINS.
    Raises UserError when the scheme cannot be had.
    """
    diffsem = _module()
    y = np.ascontiguousarray(y, np.complex64)
    try:
        handle = diffsem.scheme(spec)
        has_variance = handle.info()["has_variance"]
        if chain == "block":
            return _through_block(diffsem, handle, y, noise_var, observed, matrix, seed)
        mean, variance, info = handle.estimate(y, np.float32(noise_var), observed=observed, matrix=matrix, seed=seed)
    except ValueError as error:
        raise UserError(str(error)) from None
    if np.any(info["bypassed"]):
        reasons = ", ".join(sorted({text for text in info["reason"] if text}))
        raise UserError(f"{spec} bypassed {int(np.sum(info['bypassed']))} items ({reasons})")
    return mean, variance if has_variance else None, float(np.mean(info["steps"]))


def info(spec):
    """What a scheme says of itself (the dict of `diffsem.scheme(spec).info()`)."""
    try:
        return _module().scheme(spec).info()
    except ValueError as error:
        raise UserError(str(error)) from None


def _module():
    try:
        from gnuradio import diffsem
    except ImportError as error:
        raise UserError(f"gnuradio.diffsem cannot be imported ({error}): build it with `make`") from None
    return diffsem


def _through_block(diffsem, handle, y, noise_var, observed, matrix, seed):
    """The same through `diffsem.estimate` between a vector source and vector sinks."""
    from gnuradio import blocks, gr

    has_variance = handle.info()["has_variance"]
    rows, size = y.shape[1], y.shape[1] if matrix is None else np.shape(matrix)[1]
    source = blocks.vector_source_c(y.ravel().tolist(), False, rows)
    block = diffsem.estimate(
        handle,
        noise_var=float(noise_var),
        observed=[] if observed is None else np.flatnonzero(observed).tolist(),
        item_size=size,
        matrix=matrix,
        seed=int(seed),
        variance_output=has_variance,
    )
    graph = gr.top_block("evaluation")
    sink = blocks.vector_sink_c(size)
    graph.connect(source, block, sink)
    if has_variance:
        variances = blocks.vector_sink_f(size)
        graph.connect((block, 1), variances)
    run_flowgraph(graph)
    mean = np.array(sink.data(), np.complex64).reshape(-1, size)
    if len(mean) != len(y) or block.items_bypassed():
        raise UserError(f"the flowgraph estimated {len(mean) - block.items_bypassed()} of {len(y)} items: see its log")
    variance = np.array(variances.data(), np.float32).reshape(mean.shape) if has_variance else None
    one = handle.estimate(y[:1], np.float32(noise_var), observed=observed, matrix=matrix, seed=seed)
    return mean, variance, float(one[2]["steps"][0])


def run_flowgraph(graph, timeout=BLOCK_TIMEOUT):
    """Run to the end, or stop and raise UserError: wait() alone may never return."""
    import threading

    graph.start()
    waiter = threading.Thread(target=graph.wait, daemon=True)
    waiter.start()
    waiter.join(timeout)
    if waiter.is_alive():
        graph.stop()
        raise UserError(f"the flowgraph did not end in {timeout:.0f} s: see its log")
