"""Two updates of one model at a time: neither is lost silently."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from crossaisle import artifact
from crossaisle.errors import ArtifactError
from crossaisle.pipeline.incremental import counts, folder
from crossaisle.pipeline.incremental.alone import updating
from crossaisle.pipeline.incremental.folder import save_with_counts, update_folder
from crossaisle.pipeline.incremental.update import count
from crossaisle.recommend.recommender import Recommender
from tests.models.shops import tiny_shop
from tests.pipeline.incremental.test_incremental import CUT, model_of

HOLD = """
import sys
from pathlib import Path
from crossaisle.pipeline.incremental.alone import updating
with updating(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_with_counts(model_of(tiny_shop().before(CUT)), tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks")
def test_a_model_that_another_process_updates_is_refused(model: Path) -> None:
    before = (model / "manifest.json").read_bytes()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(
            ArtifactError, match=r"model: another process updates this model: run this .* again"
        ):
            update_folder(model, tiny_shop())
        assert (model / "manifest.json").read_bytes() == before
        other.communicate("")
    assert update_folder(model, tiny_shop()).events == 24


def test_a_model_that_was_replaced_meanwhile_stays(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    update, newer = folder.update, tiny_shop().before(CUT - 86_400)

    def slow(*given: object) -> object:
        model_of(newer).save(model, half=True)  # a fit that was quicker
        return update(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(folder, "update", slow)
    with pytest.raises(
        ArtifactError, match="model: was replaced while this update ran, and is left as it is"
    ):
        update_folder(model, tiny_shop())
    assert len(Recommender.load(model).dataset.events) == len(newer.events)
    monkeypatch.undo()
    assert update_folder(model, tiny_shop()).events == 48


def test_the_lock_goes_when_an_update_fails(model: Path) -> None:
    with pytest.raises(ValueError, match="stop"), updating(model):
        raise ValueError("stop")
    with updating(model):
        pass


def test_counts_are_not_those_of_a_model_that_was_saved_while_they_were_written(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer, taken = model_of(tiny_shop()), threading.Event()
    write, sha256 = counts._save, artifact.sha256

    def noted(file: Path) -> str:
        digest = sha256(file)
        if file == model / artifact.MANIFEST:
            taken.set()
        return digest

    def slowly(*given: object) -> None:
        write(*given)  # type: ignore[arg-type]
        assert taken.wait(20.0)
        newer.save(model, half=True)

    monkeypatch.setattr(artifact, "sha256", noted)
    monkeypatch.setattr(counts, "_save", slowly)
    older = Recommender.load(model)
    own = {"item_knn": count(older)["item_knn"]}
    counts.save_counts(own, model, lambda: older.with_weights({"for_you": {"popularity": 1.0}}).save(model))
    monkeypatch.undo()
    assert counts.load_counts(model) is None
