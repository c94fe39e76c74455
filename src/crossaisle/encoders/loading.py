"""`open_encoder`: a name or a folder becomes the `Encoder` that reads it."""

from __future__ import annotations

from crossaisle.encoders.base import Encoder
from crossaisle.encoders.multilingual import UseEncoder
from crossaisle.encoders.onnx import OnnxEncoder
from crossaisle.encoders.static import SETTINGS, StaticEncoder
from crossaisle.encoders.weights import IMAGE, at_hand, pull
from crossaisle.errors import ConfigError


def open_encoder(name: str, *, here: bool = False) -> Encoder:
    """The encoder of a known name, a folder, or "owner/name" on the hub; weights are fetched if need be.

    `here`: only what is on this machine; `FetchError` names the command that fetches it.
    """
    if name == IMAGE:
        raise ConfigError(f"{name} reads pictures, not texts: open it with open_image_encoder")
    folder = at_hand(name) if here else pull(name)
    if name == "use-multilingual":
        return UseEncoder()
    return StaticEncoder(folder) if (folder / SETTINGS).is_file() else OnnxEncoder(folder)
