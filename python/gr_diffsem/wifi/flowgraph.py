# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel estimators that run the C++ block `diffsem.estimate` in a flowgraph."""

import numpy as np

from ..errors import UserError


def estimator(scheme):
    """A callable for `evaluate.evaluate` that runs `scheme` in the block.

    Called with Y complex64 [n, 64] (carriers -32..31), noise_var [n] (variance per element) and
    mask bool [64]; returns (H [n, 64], error variance [n, 64]). Each item's noise variance travels
    as the tag `diffsem_noise_var`. Raises UserError for a scheme that cannot be loaded.
    """
    from gnuradio import diffsem

    try:
        handle = diffsem.scheme(scheme)
    except ValueError as error:
        raise UserError(str(error)) from None
    return lambda y, noise_var, mask: _run(diffsem, handle, y, noise_var, mask)


def _run(diffsem, handle, y, noise_var, mask):
    import pmt
    from gnuradio import blocks, gr

    from ..runner import run_flowgraph

    y = np.ascontiguousarray(y, np.complex64)
    items, size = y.shape
    tags = []
    for i, value in enumerate(noise_var):
        tag = gr.tag_t()
        tag.offset = i
        tag.key = pmt.intern("diffsem_noise_var")
        tag.value = pmt.from_double(float(value))
        tags.append(tag)
    graph = gr.top_block("wifi estimate")
    source = blocks.vector_source_c(y.ravel().tolist(), False, size, tags)
    block = diffsem.estimate(
        handle,
        noise="tag",
        observed=np.flatnonzero(mask).tolist(),
        item_size=size,
        variance_output=True,
    )
    mean, variance = blocks.vector_sink_c(size), blocks.vector_sink_f(size)
    graph.connect(source, (block, 0), mean)
    graph.connect((block, 1), variance)
    run_flowgraph(graph)
    mean = np.array(mean.data(), np.complex64).reshape(-1, size)
    if mean.shape != y.shape:
        raise UserError(f"the flowgraph gave {mean.shape[0]} of {items} items: see its log")
    return mean, np.array(variance.data(), np.float32).reshape(-1, size)
