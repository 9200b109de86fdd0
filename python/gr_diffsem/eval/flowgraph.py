# SPDX-License-Identifier: GPL-3.0-or-later
"""Running flowgraphs under a time limit: a block whose thread has died leaves `wait()` hanging."""

import threading

import numpy as np

from ..base.errors import UserError

BLOCK_TIMEOUT = 600.0  # seconds


def run_limited(tb, seconds=120.0):
    """Start `tb`, wait until it ends by itself; RuntimeError naming it when that takes too long."""
    tb.start()
    waiter = threading.Thread(target=tb.wait, daemon=True)
    waiter.start()
    waiter.join(seconds)
    if waiter.is_alive():
        tb.stop()
        waiter.join(2)
        raise RuntimeError(
            f"flowgraph '{tb.name()}' did not end within {seconds:.0f} s; "
            "a block's error message stands above, if one failed"
        )


def through_block(handle, y, noise_var, observed=None, matrix=None, seed=0, noise_freedom=0, condition=None):
    """(mean [R, N], error variance [R, N], items that failed, items guarded) of a scheme on y [R, M], through the
    block `diffsem.estimate` between a vector source and vector sinks; complex, or float where the scheme is real. Of a
    scheme with a codec the mean is that of the latent.

    handle: a `diffsem.scheme`. noise_var: variance per complex element of y, one number, or one for
    each item [R], which then travels as the tag `diffsem_noise_var`. observed: bool [N]; None: all. noise_freedom:
    elements of noise that the variances were measured on; 0: they are exact. condition: {name: array [R, ...]}, which
    travels as the tag `diffsem_condition`.
    Raises UserError when an item does not come back.
    """
    import pmt
    from gnuradio import blocks, diffsem, gr

    said = handle.info()
    real, content = said["domain"] == "real", int(np.prod(said["content"])) if said["content"] else 0
    y = np.ascontiguousarray(y, np.float32 if real else np.complex64)
    size = int(np.prod(said["shape"])) if said["shape"] else y.shape[1] if matrix is None else np.shape(matrix)[1]
    tags = []
    for i, value in enumerate(noise_var if np.ndim(noise_var) else ()):
        tag = gr.tag_t()
        tag.offset, tag.key, tag.value = i, pmt.intern("diffsem_noise_var"), pmt.from_double(float(value))
        tags.append(tag)
    first = {name: np.ravel(values[0]) for name, values in (condition or {}).items()}
    for i in range(len(y) if condition else 0):
        tag = gr.tag_t()
        tag.offset, tag.key, tag.value = i, pmt.intern("diffsem_condition"), pmt.make_dict()
        for name, values in condition.items():
            row = np.ravel(values[i]).astype(np.float32)
            tag.value = pmt.dict_add(tag.value, pmt.intern(name), pmt.init_f32vector(len(row), row.tolist()))
        tags.append(tag)
    make_source = blocks.vector_source_f if real else blocks.vector_source_c
    source = make_source(y.ravel().tolist(), False, y.shape[1], tags)
    block = diffsem.estimate(
        handle,
        observed=[] if observed is None else np.flatnonzero(observed).tolist(),
        item_size=size,
        matrix=matrix,
        seed=int(seed),
        noise_freedom=float(noise_freedom),
        condition=first or None,
        variance_output=True,
        latent_output=bool(content),
        tag_items=True,
        **({"noise": "tag"} if np.ndim(noise_var) else {"noise_var": float(noise_var)}),
    )
    graph = gr.top_block("estimate")
    means = (blocks.vector_sink_f if real else blocks.vector_sink_c)(size)
    variances = blocks.vector_sink_f(size)
    graph.connect(source, block)
    graph.connect((block, 1), variances)
    graph.connect((block, 2 if content else 0), means)
    if content:
        graph.connect((block, 0), blocks.null_sink(4 * content))
    try:
        run_limited(graph, BLOCK_TIMEOUT)
    except RuntimeError as error:
        raise UserError(str(error)) from None
    mean = np.array(means.data(), y.dtype).reshape(-1, size)
    if len(mean) != len(y):
        raise UserError(f"the flowgraph gave {len(mean)} of {len(y)} items: see its log")
    error_variance = np.array(variances.data(), np.float32).reshape(-1, size)
    # Least squares in the place of a refuted estimate is an answer; whatever else was bypassed is none.
    why = [pmt.to_python(tag.value) for tag in means.tags() if pmt.eqv(tag.key, pmt.intern("diffsem_bypassed"))]
    return mean, error_variance, len(why) - why.count("guard"), block.items_guarded()
