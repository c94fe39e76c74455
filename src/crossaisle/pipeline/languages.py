"""Which text encoder a catalogue gets, by the languages that it is in."""

from __future__ import annotations

from crossaisle.data.clean.texts.languages import languages_of
from crossaisle.data.dataset import Dataset
from crossaisle.encoders.weights import local_folder
from crossaisle.extras import install_command

ENGLISH, MULTILINGUAL = "minilm", "use-multilingual"
NAMED = 3
"""Languages that a note names."""


def chosen_encoder(dataset: Dataset, encoder: str) -> tuple[str, tuple[str, ...]]:
    """The encoder that `auto` stands for, and what to say about it; any other name is itself.

    A catalogue is not English where half of its titles or more are clearly in other languages.
    """
    if encoder != "auto":
        return encoder, ()
    leaves = (paths[0][-1] if paths and paths[0] else "" for paths in dataset.taxonomy.paths)
    found = languages_of(
        [f"{t}. {c}" if c else t for t, c in zip(dataset.items["title"], leaves, strict=True)]
    )
    if found.english:
        return ENGLISH, ()
    named = ", ".join(f"{name} {100 * share:.0f} %" for name, share in list(found.shares.items())[:NAMED])
    if local_folder(MULTILINGUAL) is None:
        return ENGLISH, (
            f"the catalogue is not English ({named}), and {ENGLISH} reads English only: "
            f"run  {install_command('multilingual')}  and fit again",
        )
    return MULTILINGUAL, (f"the catalogue is not English ({named}): texts are read by {MULTILINGUAL}",)
