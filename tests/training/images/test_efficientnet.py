from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs  pip install 'crossaisle[train]'")

from crossaisle.encoders.images.image_encoder import SIZE, WIDTHS  # noqa: E402
from crossaisle.errors import FetchError  # noqa: E402
from crossaisle.training.images.efficientnet import EfficientNetLite0, convert  # noqa: E402


@pytest.mark.slow
def test_becomes_onnx_that_says_the_same(tmp_path: Path) -> None:
    """Random weights of the published shapes; `convert` itself compares with torch."""
    torch.manual_seed(0)
    torch.save(EfficientNetLite0().state_dict(), tmp_path / "a.pth")
    assert convert(tmp_path / "a.pth", tmp_path / "model.onnx") > 0.999
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a.pth", "model.onnx"]


def test_shapes() -> None:
    with torch.no_grad():
        final, stages = EfficientNetLite0().eval()(torch.zeros(1, 3, SIZE, SIZE))
    assert (final.shape[1], stages.shape[1]) == WIDTHS[:2]


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    (tmp_path / "damaged.pth").write_bytes(b"damaged")
    for name in ("other.pth", "damaged.pth"):
        with pytest.raises(FetchError, match=f"{name}: is not an EfficientNet-Lite0 checkpoint"):
            EfficientNetLite0.load(tmp_path / name)
