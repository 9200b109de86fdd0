# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel estimation by posterior inference under a learned diffusion prior.

Blocks take a scheme: a name such as ``"ls"``, ``"ofdm_chanest"`` or ``"ofdm_chanest:noise_updates=1"``, the
path of an ``.onnx`` file or of a package, or a handle ``diffsem.scheme(...)`` that several blocks share.
Importing this loads neither a model nor an inference library.
"""

import sys as _sys

from .channel_model_cc import channel_model_cc as channel_model_cc
from .diffsem_python import *  # noqa: F403
from .diffsem_python import core
from .frame_format_of import frame_format_of as frame_format_of
from .image_sink import image_sink as image_sink
from .image_source import image_source as image_source
from .image_view import image_view as image_view
from .mimo_ofdm_rx import mimo_ofdm_rx as mimo_ofdm_rx
from .mimo_ofdm_tx import mimo_ofdm_tx as mimo_ofdm_tx
from .ofdm_rx import ofdm_rx as ofdm_rx
from .pdu_zmq_sink import pdu_zmq_sink as pdu_zmq_sink
from .pdu_zmq_source import pdu_zmq_source as pdu_zmq_source
from .pilots import pilots as pilots
from .publish_stats import publish_stats as publish_stats
from .rssi_logger import rssi_logger as rssi_logger
from .semantic_decoder import semantic_decoder as semantic_decoder
from .semantic_encoder import semantic_encoder as semantic_encoder
from .semantic_rx import semantic_rx as semantic_rx
from .semantic_tx import semantic_tx as semantic_tx
from .vectors_to_images import vectors_to_images as vectors_to_images
from .video_player import video_player as video_player
from .video_sink import video_sink as video_sink
from .video_source import video_source as video_source

_sys.modules[__name__ + ".core"] = core
