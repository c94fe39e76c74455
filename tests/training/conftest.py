"""Tiny models with random weights; nothing is fetched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs pip install 'crossaisle[train]'")
pytest.importorskip("transformers", reason="needs pip install 'crossaisle[train]'")

WORDS = [
    *("red", "blue", "green", "shoe", "boot", "sandal", "lamp", "bulb", "sauce", "pasta", "basil", "cheese"),
    *("trail", "running", "floor", "desk"),
    *("fresh", "milk", "bread", "spade", "paint", "number", *"0123456789"),  # the tiny shop's
    *("dairy", "bakery", "garden", "tools", "hardware", "brand0", "brand1", "brand2"),
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def tokenizer(*, wrap: bool) -> Any:
    """Whole words; `wrap` puts [CLS] and [SEP] around a text, as BERT does."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *WORDS])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if wrap:
        made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


def tiny_bert(folder: Path) -> Path:
    """A checkpoint of two layers, 16-d."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        pad_token_id=0,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer(wrap=True).save(str(folder / "tokenizer.json"))
    return folder


def tiny_llama(folder: Path) -> Path:
    """A GPT-like checkpoint of two layers, 16-d, with a language-model head."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=32,
        max_position_embeddings=64,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer(wrap=False).save(str(folder / "tokenizer.json"))
    return folder


def _scaled(folder: Path) -> Path:
    settings = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"shortest_edge": 32}}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def tiny_clip(folder: Path) -> Path:
    """Pictures of 32 pixels and texts, into 12 dimensions."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    layers = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**layers, "vocab_size": 40, "max_position_embeddings": 16},
        vision_config={**layers, "image_size": 32, "patch_size": 8},
        projection_dim=12,
    )
    CLIPModel(config).save_pretrained(folder)
    return _scaled(folder)


def tiny_vit(folder: Path) -> Path:
    """The same size without texts."""
    import torch
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
    )
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    return _scaled(folder)


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("llama"))
