"""Selects the trainable parameters: a head on top, low-rank adapters, the last layers, everything."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from crossaisle.errors import ConfigError
from crossaisle.train_config import TrainConfig
from crossaisle.training.text.backbone import Backbone


def prepare(backbone: Backbone, config: TrainConfig) -> None:
    """Freezes all other parameters, adds adapters if requested, and sets dropout; in place."""
    if config.dropout is not None:
        for module in backbone.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = config.dropout
    backbone.model.requires_grad_(config.moves == "full")
    if config.moves == "lora":
        backbone.model = _with_adapters(backbone.model, config)
    elif config.moves == "last":
        for layer in layers_of(backbone.model)[-config.last_layers :]:
            layer.requires_grad_(True)
    if config.gradient_checkpointing and config.moves in ("lora", "full"):
        backbone.model.gradient_checkpointing_enable()
        if config.moves == "lora":
            backbone.model.enable_input_require_grads()


def merged(backbone: Backbone) -> Backbone:
    """A plain checkpoint with adapters merged into the weights; the original is unchanged."""
    if not hasattr(backbone.model, "merge_and_unload"):
        return backbone
    out = _shallow_copy(backbone)
    out.model = copy.deepcopy(backbone.model).merge_and_unload()
    return out


def _shallow_copy(backbone: Backbone) -> Backbone:
    """A copy that shares the layers, but whose children can be replaced; `copy.copy` shares the table of
    children."""
    out = copy.copy(backbone)
    out._modules = dict(backbone._modules)  # noqa: SLF001 - torch offers no public way
    return out


def with_projection(backbone: Backbone, layer: nn.Module) -> Backbone:
    """The backbone with a further linear map on its pooled vector; the original is unchanged."""
    if not isinstance(layer, nn.Linear):
        return backbone
    out = _shallow_copy(backbone)
    first = backbone.projection
    both = nn.Linear(
        layer.in_features if first is None else first.in_features,
        layer.out_features,
        bias=first is not None and first.bias is not None,
    )
    with torch.no_grad():
        both.weight.copy_(layer.weight if first is None else layer.weight @ first.weight)
        if first is not None and first.bias is not None:
            both.bias.copy_(layer.weight @ first.bias)
    out.projection = both.to(backbone.device)
    return out


def stack_of(model: Any) -> tuple[Any, str]:
    """The module that contains the stack of transformer layers, and the name of the stack in it."""
    depth = getattr(model.config, "num_hidden_layers", None)
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == depth:
                return module, name
    raise ConfigError(f"{type(model).__name__}: its stack of layers was not found: use it whole")


def layers_of(model: Any) -> nn.ModuleList:
    """The stack of transformer layers."""
    owner, name = stack_of(model)
    stack: nn.ModuleList = getattr(owner, name)
    return stack


class LastLayers(nn.Module):
    """The top layers of a model, fed with the output of its frozen lower layers.

    Shares the top layers' parameters with the original; embeddings pass their input through, and the frozen
    layers are removed.
    """

    def __init__(self, backbone: Backbone, last: int) -> None:
        super().__init__()
        stack = layers_of(backbone.model)
        if last > len(stack):
            raise ConfigError(f"train.last_layers = {last}, but the backbone has {len(stack)} layers")
        self.frozen = len(stack) - last
        kept = {id(parameter): parameter for parameter in backbone.model.parameters()}
        self.top = copy.deepcopy(backbone.model, kept)  # shares parameters
        owner, name = stack_of(self.top)
        setattr(owner, name, nn.ModuleList(list(getattr(owner, name))[self.frozen :]))
        for module in list(self.top.modules()):
            if "embeddings" in dict(module.named_children()):
                module.embeddings = _PassThrough()
        self.top.config.num_hidden_layers = last

    @torch.no_grad()
    def below(self, backbone: Backbone, batch: dict[str, Tensor]) -> Tensor:
        """(n, width, d): the output of the frozen layers."""
        states: Tensor = backbone.model(**batch, output_hidden_states=True).hidden_states[self.frozen]
        return states

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(n, width, d): the output of the last layer."""
        out: Tensor = self.top(inputs_embeds=hidden, attention_mask=mask).last_hidden_state
        return out


class _PassThrough(nn.Module):
    """Replaces an embedding layer whose output has been computed before."""

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> Tensor:
        return inputs_embeds


def _with_adapters(model: Any, config: TrainConfig) -> Any:
    import importlib.util

    from crossaisle.errors import MissingDependencyError

    if importlib.util.find_spec("peft") is None:
        raise MissingDependencyError("peft", "train", "moves = 'lora'")
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(
        r=config.lora_rank,
        lora_alpha=int(config.lora_alpha),
        lora_dropout=config.dropout or 0.0,
        target_modules="all-linear",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft uses a name in transformers that is deprecated
        return get_peft_model(model, settings)
