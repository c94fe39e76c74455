"""`open_encoder`: opens the `Encoder` for a name or a folder."""

from __future__ import annotations

from crossaisle.encoders.base import Encoder
from crossaisle.encoders.multilingual import UseEncoder
from crossaisle.encoders.onnx import OnnxEncoder
from crossaisle.encoders.static import SETTINGS, StaticEncoder
from crossaisle.encoders.weights import IMAGE, at_hand, pull
from crossaisle.errors import ConfigError


def open_encoder(name: str, *, here: bool = False) -> Encoder:
    """The encoder for a known name, a folder, or "owner/name" on the hub; downloads weights if necessary.

    `here`: uses only what is on this machine; `FetchError` names the command to download it.
    """
    if name == IMAGE:
        raise ConfigError(f"{name} reads pictures, not texts: open it with open_image_encoder")
    folder = at_hand(name) if here else pull(name)
    if name == "use-multilingual":
        return UseEncoder()
    return StaticEncoder(folder) if (folder / SETTINGS).is_file() else OnnxEncoder(folder)
