"""Decoders shipped as GGUF, the format of llama.cpp: converted once to an ordinary checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crossaisle.artifact import check, writing
from crossaisle.encoders.weights import REGISTRY, TOKENIZER, pull
from crossaisle.errors import ArtifactError, FetchError, MissingDependencyError
from crossaisle.fetch import cache_dir
from crossaisle.training.torch_library import require

KIND = "checkpoint"


def gguf_name(name: str) -> str | None:
    """The weight file of a known model in GGUF format; None for all other names."""
    known = REGISTRY.get(name)
    files = [f.name for f in known.files if f.name.endswith(".gguf")] if known is not None else []
    return files[0] if files else None


def unpacked(name: str) -> Path:
    """The folder of a known GGUF model: `config.json`, `model.safetensors` (float32) and `tokenizer.json`.

    Downloaded and converted on first use; later calls verify the checksums and do not use the network. A
    damaged folder is converted again. Raises `FetchError` and `MissingDependencyError`.
    """
    target = cache_dir() / "unpacked" / name
    if target.is_dir():
        try:
            return check(target, KIND)
        except ArtifactError:
            pass  # the GGUF file is available: converting it again takes seconds
    file = gguf_name(name)
    if file is None:
        raise FetchError(f"{name}: is no known model that comes as GGUF")
    _require_gguf()
    return unpack(pull(name) / file, target)


def unpack(file: Path, target: Path) -> Path:
    """Converts a GGUF file to a checkpoint that transformers can read, with weights dequantized to
    float32."""
    import transformers

    _require_gguf()
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        read: Any = transformers.AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise FetchError(f"{file}: could not be read as GGUF ({str(error).splitlines()[0]})") from error
    read.config.quantization_config = None
    del read.config.quantization_config  # the copy is plain float32
    # A model loaded from GGUF cannot be saved; one made from its configuration can.
    model: Any = transformers.AutoModelForCausalLM.from_config(read.config)  # type: ignore[no-untyped-call]
    model.load_state_dict(read.state_dict())
    with writing(target, KIND) as folder:
        model.save_pretrained(folder)
        tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    return target


def _require_gguf() -> None:
    import importlib.util

    require("reading a GGUF file")
    if importlib.util.find_spec("gguf") is None:
        raise MissingDependencyError("gguf", "train", "reading a GGUF file")
