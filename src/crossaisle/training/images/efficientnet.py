"""EfficientNet-Lite0 in torch, needed only to export it as an ONNX file that is served without torch.

Tan and Le, EfficientNet, ICML 2019; the Lite variant has ReLU6 and no squeeze-and-excitation.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from crossaisle.errors import ArtifactError, FetchError
from crossaisle.training.export.onnx import quietly

SIZE = 224
FLOOR = 0.999
STAGES = (2, 4, 10, 15)
"""Blocks whose pooled channels are output in addition to the last layer: early ones capture colour and
texture."""
_BLOCKS = (  # (repeats, kernel, first stride, expansion, channels)
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class _Same(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: for even sizes and strides, more on the right and
    below."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inside, outside, kernel, stride, groups=groups, bias=False)
        total = kernel - stride
        before = total // 2
        self.sides = (before, total - before) * 2 if total > 0 else (0, 0, 0, 0)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.pad(x, self.sides))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class _Block(nn.Module):
    """Inverted residual block: expansion, depthwise convolution, projection."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inside * expansion
        if expansion > 1:
            self._expand_conv, self._bn0 = _Same(inside, wide, 1), _norm(wide)
        self._depthwise_conv, self._bn1 = _Same(wide, wide, kernel, stride, wide), _norm(wide)
        self._project_conv, self._bn2 = _Same(wide, outside, 1), _norm(outside)
        self.widens, self.adds = expansion > 1, stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.relu6(self._bn0(self._expand_conv(x))) if self.widens else x
        y = nn.functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        out: Tensor = x + y if self.adds else y
        return out


class EfficientNetLite0(nn.Module):
    """Pictures to pooled features; parameter names are those of the published checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = _Same(3, 32, 3, 2), _norm(32)
        blocks, inside = [], 32
        for repeats, kernel, stride, expansion, outside in _BLOCKS:
            for number in range(repeats):
                blocks.append(_Block(inside, outside, kernel, 1 if number else stride, expansion))
                inside = outside
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = _Same(320, 1280, 1), _norm(1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """float32 (b, 3, 224, 224), (value - 127) / 128 -> (b, 1280) and (b, 496) of the `STAGES`."""
        x = nn.functional.relu6(self._bn0(self._conv_stem(pixels)))
        stages = []
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in STAGES:
                stages.append(x.mean((2, 3)))
        x = nn.functional.relu6(self._bn1(self._conv_head(x)))
        return x.mean((2, 3)), torch.cat(stages, dim=1)

    def classes(self, pixels: Tensor) -> Tensor:
        """(b, 1000) logits of the ImageNet classes."""
        logits: Tensor = self._fc(self(pixels)[0])
        return logits

    @classmethod
    def load(cls, file: Path) -> EfficientNetLite0:
        """Loads the published `.pth`; `FetchError` if the file is another model or damaged."""
        model = cls()
        try:
            model.load_state_dict(torch.load(file, weights_only=True, map_location="cpu"))
        except Exception as error:  # torch raises a dozen types for damaged files
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise FetchError(f"{file}: is no EfficientNet-Lite0 checkpoint ({first})") from error
        return model.eval()


def convert(checkpoint: Path, target: Path) -> float:
    """Exports the checkpoint to ONNX with input `pixels` and outputs `final` and `stages`.

    Returns the lowest cosine between vectors of both; `ArtifactError` if below .999.
    """
    import onnxruntime

    model = EfficientNetLite0.load(checkpoint)
    pixels = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with quietly(), torch.no_grad():
        program = torch.onnx.export(
            model,
            (pixels,),
            input_names=["pixels"],
            output_names=["final", "stages"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=1024)},),
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.save(str(target), external_data=False)
        wanted = model(pixels)
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    found = session.run(None, {"pixels": pixels.numpy()})
    pairs = zip(wanted, found, strict=True)
    cosine = min(float(nn.functional.cosine_similarity(w, torch.from_numpy(f)).min()) for w, f in pairs)
    if not cosine >= FLOOR:
        raise ArtifactError(f"{checkpoint}: ONNX vectors differ from torch (cosine {cosine:.4f}): not saved")
    return cosine
