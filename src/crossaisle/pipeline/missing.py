"""Optional libraries that are not installed: what that costs a shop, told before anything is fitted."""

from __future__ import annotations

from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.data.dataset import Dataset
from crossaisle.extras import install_command
from crossaisle.models.defaults import learns_sequences
from crossaisle.models.ranking.trees import is_installed
from crossaisle.models.scorers.vectors.history_vectors import EXTRA, LIBRARY, can_be_learned

WITHOUT_SEQUENCE = (0.0761, 0.0812)
"""NDCG@10 on the test of s3rec-beauty without the sequence model and with it (docs/results/sequence)."""
NO_LIGHTGBM = (
    "without lightgbm no ranker is learned on top of the blend (a ranker raises NDCG by "
    "3 and 5 % on s3rec-beauty and s3rec-toys, and by 39 and 22 % for new categories in "
    "the open list)"
)


def no_lightgbm() -> str:
    """What the absence of LightGBM costs, and the command that ends it."""
    return f"{NO_LIGHTGBM}: {install_command('rank')}"


def missing_libraries(dataset: Dataset, split: SplitConfig, model: ModelConfig) -> list[str]:
    """A sentence for each library that would be used here, with the command that installs it."""
    out = []
    if model.sequence != "off" and learns_sequences(dataset) and not can_be_learned():
        before, after = WITHOUT_SEQUENCE
        out.append(
            f"without {LIBRARY} there is no sequence model in the blend (it raises NDCG@10 on "
            f"s3rec-beauty from {before:.4f} to {after:.4f}): {install_command(EXTRA)}"
        )
    if model.ranker and split.protocol in ("temporal", "leave_last_out") and not is_installed():
        out.append(no_lightgbm())
    return out
