"""LanguageModelScorer: a GPT-like model reads titles, and nothing twice."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs pip install 'crossaisle[train]'")

import torch

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.errors import ConfigError, FetchError
from crossaisle.models import registry
from crossaisle.training.decoder.language_scorer import LanguageModelScorer
from crossaisle.training.decoder.likelihood import Likelihood
from tests.models.contract import ScorerContract
from tests.models.shops import tiny_shop
from tests.training.conftest import tiny_llama

KITCHEN, GARDEN = ("milk", "bread"), ("spade", "paint")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny decoder that has read in which company products are bought, with numbers of its own."""
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

    folder = tiny_llama(tmp_path_factory.mktemp("reader"))
    model = LlamaForCausalLM.from_pretrained(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    for weights in model.parameters():
        if weights.ndim > 1:  # as small as they come, attention would stay even for hundreds of steps
            weights.data.normal_(0, 0.2)
    rng = np.random.default_rng(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(100):
        rows = []
        for _ in range(16):
            kinds = KITCHEN if rng.random() < 0.5 else GARDEN
            first, second = rng.choice(kinds), rng.choice(kinds)
            a, b = rng.integers(0, 6, 2)
            text = f"Customers who bought fresh {first} number {a} also buy fresh {second} number {b}"
            rows.append(tokenizer.encode(text).ids)
        ids = torch.tensor(rows)
        optimiser.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimiser.step()
    model.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.getbasetemp() / "likelihood-cache"
    monkeypatch.setenv("CROSSAISLE_CACHE", str(folder))
    return folder


class TestLanguageModelScorer(ScorerContract):
    weighs_fit = weighs_query = False  # it reads titles
    scores_cold = True
    exact_evidence = False

    @pytest.fixture(autouse=True)
    def _reader(self, reader: Path) -> None:
        self.reader = str(reader)

    def make(self) -> LanguageModelScorer:
        return LanguageModelScorer(model=self.reader)

    def test_the_group_that_buys_together_comes_first(self, fitted: LanguageModelScorer) -> None:
        """As the contract has it, but for what the history holds, which is no candidate."""
        kitchen, garden = ["milk4", "bread2", "bread3"], ["spade3", "spade4", "paint3"]
        scores = fitted.score([["milk1"]], kitchen + garden)[0]
        assert scores[:3].min() > scores[3:].max()

    def test_it_reads_only_the_best_of_the_first_model(self, shop: Dataset) -> None:
        few = LanguageModelScorer(model=self.reader, top=5).fit(shop)
        scores = few.score([["milk0"]])[0]
        first = np.argsort(-registry.make("tfidf", {}).fit(shop).score([["milk0"]])[0], kind="stable")
        assert set(np.flatnonzero(~np.isnan(scores))) == set(first[first != 0][:5])

    def test_what_was_bought_is_no_candidate(self, fitted: LanguageModelScorer) -> None:
        assert np.isnan(fitted.score([["milk0", "paint1"]], ["milk0", "paint1"])).all()

    def test_pmi_takes_off_what_a_title_has_by_itself(self, shop: Dataset) -> None:
        items, history = np.arange(4, 8, dtype=np.int32), np.array([0], np.int32)
        plain, less, half = (
            LanguageModelScorer(model=self.reader, pmi=p).fit(shop).likelihood(history, items)
            for p in (0.0, 1.0, 0.5)
        )
        assert (plain < 0).all()
        np.testing.assert_allclose(half, (plain + less) / 2, rtol=1e-4, atol=1e-5)
        assert np.abs(plain - less).max() > 0.01

    def test_only_the_newest_items_are_named(self, shop: Dataset) -> None:
        scorer = LanguageModelScorer(model=self.reader, history=1).fit(shop)
        np.testing.assert_array_equal(
            scorer.score([["paint1", "milk0"]], ["bread1"]), scorer.score([["milk0"]], ["bread1"])
        )

    def test_an_item_without_any_text_scores_nan(self, shop: Dataset) -> None:
        scorer = self.make().fit(shop)
        scorer.titles_ = np.frombuffer("\n".join(["", *scorer._titles[1:]]).encode(), np.uint8)
        assert np.isnan(scorer.likelihood(np.array([1], np.int32), np.array([0], np.int32)))[0]
        assert np.isnan(scorer.likelihood(np.array([0], np.int32), np.array([1], np.int32)))[0]

    def test_a_fresh_process_makes_it_from_its_kind(self, fitted: LanguageModelScorer) -> None:
        code = (
            "import sys, json; from crossaisle.models import registry; assert 'torch' not in sys.modules;"
            "print(registry.make('language_model', json.loads(sys.argv[1])).kind)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(fitted.settings())], capture_output=True, text=True
        )
        assert done.stdout == "language_model\n", done.stderr

    @pytest.mark.parametrize("settings", [{"first": "language_model"}, {"top": 0}])
    def test_settings_that_make_no_sense(self, settings: dict[str, object]) -> None:
        with pytest.raises(ConfigError):
            LanguageModelScorer(**settings)  # type: ignore[arg-type]


def slowly(model: Likelihood, prompt: tuple[int, ...], text: tuple[int, ...]) -> float:
    """Without keys and values that are shared, and without padding."""
    ids = torch.tensor([[*prompt, *text]])
    with torch.inference_mode():
        logs = torch.log_softmax(model.model(input_ids=ids).logits[0].double(), dim=-1)
    return sum(float(logs[len(prompt) - 1 + i, token]) for i, token in enumerate(text))


def test_shared_prompts_and_padding_change_nothing(llama: Path) -> None:
    model = Likelihood.load(str(llama))
    prompt = model.tokens("red shoe running trail")
    texts = [
        model.tokens(t) for t in ("boot", "green lamp desk", "pasta sauce basil cheese milk", "blue bulb")
    ]
    found = model.log_likelihood(prompt, texts)
    np.testing.assert_allclose(found, [slowly(model, prompt, t) for t in texts], rtol=1e-4)


def test_nothing_is_read_twice_and_a_damaged_cache_is_made_again(
    llama: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fresh() -> Likelihood:
        made = Likelihood.load(str(llama))
        return Likelihood(made.model, made.tokenizer, fingerprint="tiny", folder=tmp_path)

    model = fresh()
    prompt, texts = model.tokens("red shoe"), [model.tokens("blue boot"), (), model.tokens("lamp")]
    first = model.log_likelihood(prompt, texts)
    assert model.asked == 2
    assert np.isnan(first[1])
    again = fresh()
    np.testing.assert_array_equal(again.log_likelihood(prompt, texts), first)
    assert again.asked == 0
    (tmp_path / "tiny.sqlite").write_bytes(b"no database at all" * 100)
    broken = fresh()
    np.testing.assert_array_equal(broken.log_likelihood(prompt, texts), first)
    assert broken.asked == 2
    assert "damaged" in caplog.text


def test_an_encoder_cannot_say_what_comes_next(bert: Path) -> None:
    with pytest.raises(FetchError, match="not a causal"):
        Likelihood.load(str(bert))


def test_a_folder_without_a_checkpoint(tmp_path: Path, llama: Path) -> None:
    with pytest.raises(FetchError, match=r"config\.json"):
        Likelihood.load(str(tmp_path))
    broken = tmp_path / "cut"
    shutil.copytree(llama, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(FetchError, match="could not be loaded"):
        Likelihood.load(str(broken))


def test_an_empty_history_says_nothing(llama: Path) -> None:
    scorer = LanguageModelScorer(model=str(llama)).fit(tiny_shop())
    assert np.isnan(scorer.score_rows(Histories.of([[]]))).all()
