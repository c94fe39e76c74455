"""Rules asked of a generative model. It is a small HTTP server with fixed answers: what is tested is the
asking, over a real connection, and not what a model knows."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from crossaisle import cli
from crossaisle.data.knowledge.rules import read_rules
from crossaisle.errors import ConfigError, MissingDependencyError, ServiceError
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.pipeline.knowledge import ask as asking
from crossaisle.pipeline.knowledge.generators import RemoteModel, open_generator
from crossaisle.recommend.recommender import Recommender
from tests.models.shops import tiny_shop

pytest.importorskip("httpx", reason="needs pip install 'crossaisle[client]'")
SAYS = {
    ("Dairy", "Bakery"): "8: breakfast, most of all",
    ("Bakery", "Dairy"): "8: bread wants butter",
    ("Garden", "Hardware"): "Number: 7/10. A spade needs paint",
    ("Hardware", "Garden"): "2: seldom",
    ("Dairy", "Garden"): "I cannot say.",
}


class FixedModel:
    """Answers by the two categories of a question; others get 0. Counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.fails: list[int] = []
        """Statuses of the next answers, before it works again."""
        self.ends_after: int | None = None
        """Questions that are answered before it refuses."""
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(200, {"data": [{"id": "fixed-1"}]} if self.path == "/v1/models" else {})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if model.fails:
                    self._send(model.fails.pop(0), {"error": "busy"})
                    return
                if model.ends_after is not None and len(model.asked) >= model.ends_after:
                    self._send(401, {"error": "no credit left"})
                    return
                assert self.path == "/v1/chat/completions"
                model.asked.append(body)
                model.keys.append(self.headers["authorization"])
                lines = dict(line.split(": ", 1) for line in body["messages"][0]["content"].split("\n")[1:3])
                words = SAYS.get((lines["First"], lines["Second"]), "0: no")
                self._send(200, {"choices": [{"message": {"role": "assistant", "content": words}}]})

            def _send(self, status: int, body: Any) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def model() -> Iterator[FixedModel]:
    fixed = FixedModel()
    yield fixed
    fixed.close()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    dataset = tiny_shop()
    Recommender(dataset, Blend(parts={"popularity": Popularity()}).fit(dataset)).save(tmp_path / "model")
    return tmp_path / "model"


def run(shop: Path, model: FixedModel, *more: str) -> int:
    out = str(shop.parent / "knowledge.csv")
    return cli.run(["knowledge", "ask", str(shop), "--llm", model.url, "--out", out, *more])


def test_both_orders_are_asked_and_written_for_editing(
    shop: Path, model: FixedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(shop, model, "--yes") == 0
    out, err = capsys.readouterr()
    assert "12 questions to fixed-1; 0 were answered before" in err
    assert len(model.asked) == 12, "four categories, each beside each other one"
    assert {(body["model"], body["temperature"]) for body in model.asked} == {("fixed-1", 0)}
    first, second = read_rules(shop.parent / "knowledge.csv")
    assert (first.source, first.target, first.direction, first.strength) == ("Bakery", "Dairy", "both", 0.72)
    assert first.reason == "bread wants butter"
    assert (second.source, second.target, second.direction) == ("Garden", "Hardware", "one way")
    assert second.reason == "A spade needs paint"
    assert "Bakery goes with Dairy: bread wants butter" in out
    assert "answers without a number from 0 to 10, left out: 1" in out
    assert "Dairy, Garden: 'I cannot say.'" in out


def test_nothing_is_asked_twice(shop: Path, model: FixedModel, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shop, model, "--yes") == 0
    assert run(shop, model) == 1, "the file may have been edited"
    assert "already exists" in capsys.readouterr().err
    assert run(shop, model, "--force") == 0, "no question is left, so none is asked whether to go on"
    assert "0 questions to fixed-1; 12 were answered before" in capsys.readouterr().err
    assert len(model.asked) == 12
    assert run(shop, model, "--force", "--yes", "--llm-model", "other") == 0
    assert len(model.asked) == 24, "another model may know better"


def test_what_is_interrupted_goes_on_from_there(
    shop: Path, model: FixedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    model.ends_after = 5
    assert run(shop, model, "--yes") == 1
    assert "401" in capsys.readouterr().err
    assert not (shop.parent / "knowledge.csv").exists()
    kept = shop.parent / "cache" / "knowledge" / "answers.jsonl"
    kept.write_text(kept.read_text() + '{"key": "torn')  # as a killed process leaves it
    model.ends_after = None
    assert run(shop, model, "--yes") == 0
    assert "7 questions to fixed-1; 5 were answered before" in capsys.readouterr().err
    assert len(model.asked) == 12
    assert run(shop, model, "--force") == 0, "the torn line cost no answer"


def test_busy_answers_are_tried_again(model: FixedModel) -> None:
    waited: list[float] = []
    remote = RemoteModel(model.url, sleep=waited.append)
    model.fails = [429, 503]
    assert remote.answer(asking.Question("Dairy", "Bakery").text) == SAYS["Dairy", "Bakery"]
    assert len(waited) == 2
    assert waited[1] > waited[0] / 2 > 0
    model.fails = [400]
    with pytest.raises(ServiceError, match="400"):
        remote.answer("x")
    remote.close()


def test_the_key_is_sent_and_never_said(
    shop: Path, model: FixedModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "very-secret-word")
    model.ends_after = 1
    assert run(shop, model, "--yes") == 1
    assert model.keys == ["Bearer very-secret-word"]
    out, err = capsys.readouterr()
    assert "very-secret-word" not in out + err


def test_no_model_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossaisle.pipeline.knowledge.generators.FIRST_WAIT", 0.0)
    with pytest.raises(ServiceError, match="no answer"):
        open_generator("http://127.0.0.1:9/v1")
    with pytest.raises(ConfigError, match="starts with http"):
        open_generator("ftp://somewhere")
    with pytest.raises(ConfigError, match="no such file"):
        open_generator("nothing.gguf")


def test_a_gguf_file_needs_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "xllamacpp", None)
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[gguf\]'"):
        open_generator(str(tmp_path / "m.gguf"))


@pytest.mark.parametrize(
    ("words", "number", "reason"),
    [
        ("8: breakfast", 8, "breakfast"),
        ("10", 10, ""),
        ("I would say 3/10 - rarely\n\nAs a shop ...", 3, "rarely"),
        ("0.8: likely", None, "0.8: likely"),
        ("11", None, "11"),
        ("", None, ""),
    ],
)
def test_answers_are_read_with_care(words: str, number: int | None, reason: str) -> None:
    reply = asking.Reply(asking.Question("a", "b"), words)
    assert (reply.number, reply.reason) == (number, reason)


def test_without_events_the_largest_categories_are_asked() -> None:
    import numpy as np

    shop = tiny_shop()
    silent = shop.with_events(np.zeros(len(shop.events), bool))
    assert len(asking.questions(silent, 3)) == 6
    assert len(asking.questions(shop, 4, level=-1)) == 12


@pytest.mark.slow
def test_a_gguf_file_answers_in_this_process() -> None:
    pytest.importorskip("xllamacpp", reason="needs pip install 'crossaisle[gguf]'")
    from crossaisle.encoders.weights import local_folder

    folder = local_folder("smollm2")
    if folder is None:
        pytest.skip("needs crossaisle models pull smollm2")
    model = open_generator(str(next(folder.glob("*.gguf"))))
    question = asking.Question("Dairy", "Bakery").text
    first = model.answer(question)
    assert first
    assert model.answer(question) == first, "temperature 0"
    model.close()
