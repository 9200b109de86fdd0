# SPDX-License-Identifier: GPL-3.0-or-later
"""A learned code for photographs, which begins as the linear one."""

from .base import Network
from .photo import PhotoClaim, Photographs


def code():
    from ..models.jscc import PictureCode

    return PictureCode()


class Jscc(Photographs):
    name = "jscc"
    title = "a learned code for photographs, in front of the linear code and behind its receiver"
    reference = (
        "deep joint source-channel coding: E. Bourtsoulatze, D. B. Kurka, D. Gunduz, IEEE TCCN 2019; told the noise as "
        "J. Xu et al., 'Wireless Image Transmission Using Deep Source Channel Coding With Attention Modules', TCSVT "
        "2022; a picture changed for what is behind it: H. Kim et al., 'Task-Aware Image Downscaling', ECCV 2018"
    )
    data = (
        "photographs of the training part of BSDS500 (200), Urban100 and Sun-Hays80 (180; research use), squares of "
        "them, turned, flipped, reduced and made brighter or darker, through the semantic link's linear code and "
        "receiver: CBR 1/72 to 1/4, -5 to 20 dB, AWGN and TDL fading, up to 40 % of frames lost"
    )
    plan = {"type": "proximal", "steps": 1, "inflation": 1.0, "final": False}
    default = "net"

    def networks(self):
        return {"net": Network(code, "decoder", 0.0, minutes=120, batch=6, rate=1e-3)}

    def training(self):
        from ..models.jscc_training import JsccTraining

        return JsccTraining

    def write_network(self, net, path, network, facts):
        from ..models import photo_export

        beside = path.with_name("encoder.onnx")
        difference = photo_export.write(net.encoder, beside, self, network, facts, "picture_encoder")
        return max(difference, photo_export.write(net.decoder, path, self, network, facts))

    def choices(self, member):
        return {**super().choices(member), "encoder": "encoder.onnx"}

    def claims(self):
        return [
            PhotoClaim("CBR 1/48, AWGN, mean of 0, 5 and 10 dB", 0.3, over="photo_mmse"),
            PhotoClaim("CBR 1/12, AWGN, mean of 0, 5 and 10 dB", 0.0, over="photo_mmse"),
        ]

    def card(self):
        return (
            "Sender and receiver both need this package: `gr-diffsem send --codec jscc`; any other receiver shows the "
            "picture too, less well. One pair of networks for every rate, noise level, mask and fade of the semantic "
            "link. Not for drawings, text or screens. The sender lets the linear code go out where that is the better "
            "one at the design's SNR."
        )


SCHEME = Jscc()
