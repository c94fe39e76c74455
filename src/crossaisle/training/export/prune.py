"""`prune_layers`: a copy of a transformer with fewer layers."""

from __future__ import annotations

import copy

import numpy as np
from torch import nn

from crossaisle.errors import ConfigError
from crossaisle.training.text.backbone import Backbone
from crossaisle.training.text.layers import layers_of, stack_of


def prune_layers(backbone: Backbone, keep: int) -> Backbone:
    """A copy with `keep` evenly spaced layers, including the first and the last (Sajjad et al., 2023).

    `ConfigError` if the model has fewer layers, or if its layers cannot be found.
    """
    small = copy.deepcopy(backbone)
    owner, name = stack_of(small.model)
    layers = getattr(owner, name)
    if not 1 <= keep <= len(layers):
        raise ConfigError(f"layers to keep must be 1 to {len(layers)}, which this model has (found {keep})")
    chosen = np.unique(np.linspace(0, len(layers) - 1, keep).round().astype(int)) if keep > 1 else [0]
    setattr(owner, name, nn.ModuleList(layers[int(i)] for i in chosen))
    small.model.config.num_hidden_layers = len(chosen)
    if getattr(small.model.config, "layer_types", None):
        types = small.model.config.layer_types
        small.model.config.layer_types = [types[int(i)] for i in chosen]
    for position, layer in enumerate(getattr(owner, name)):  # decoders number their layers for the KV cache
        for module in layer.modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = position
    return small


def layer_count(backbone: Backbone) -> int:
    """Number of layers of a backbone."""
    return len(layers_of(backbone.model))
