"""`[data.clean]`: the steps that clean a catalogue, each switched on or off or with its own setting."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from crossaisle.errors import ConfigError

Mode = Literal["off", "report", "on"]
""""off": skipped. "report": proposals are reported, nothing is changed. "on": applied if confident enough."""
LEARNED = ("brands", "abbreviations", "spelling", "categories", "structure", "ids")
"""Steps that learn from the catalogue and propose changes with a confidence."""


@dataclass(frozen=True, kw_only=True)
class CleanConfig:
    """`[data.clean]`: only steps that cannot change what a text means are on by default.

    Word steps (`stop_words`, `segment`, `stem`) change what word-based models read, never a title.
    """

    mojibake: Literal["auto", "on", "off"] = "auto"
    """Repairs texts decoded with the wrong encoding, such as "LâOrÃ©al". "auto": where ftfy is installed."""
    width: bool = True
    """Full-width letters and digits become half-width; half-width kana become full-width."""
    nfkc: bool = True
    """Compatibility characters (ligatures, "㎏") become plain ones; fractions, superscripts and "™" stay."""
    chinese: Literal["off", "simplified", "traditional"] = "off"
    """The script to which Chinese texts are converted."""
    language: Mode = "off"
    """Detects the language of each title, for the report."""
    brands: Mode = "off"
    """Merges different spellings of one brand."""
    abbreviations: Mode = "off"
    """Titles in till abbreviations: writes the abbreviations out, in natural word order."""
    abbreviations_file: Path | None = None
    """CSV with columns `short` and `long`: words or whole titles; an empty `long` removes the word."""
    sizes: bool = False
    """Writes amounts and units in titles one way: "16OZ." becomes "16 oz"."""
    spelling: Mode = "off"
    """Corrects misspelt words in titles, with a dictionary of the catalogue's own words."""
    categories: Mode = "off"
    """Merges different spellings of one category below the same parent."""
    structure: Mode = "off"
    """Moves categories that are at the top level but belong below another one."""
    groups: Mode = "off"
    """Groups variants (colour, size, pack) and duplicates; lists show one item per group."""
    robots: Mode = "off"
    """Sets aside users whose pace, breadth and regularity are not human, with their events."""
    users: Mode = "off"
    """User attributes: unifies bands and words for "unknown"; merges rare values of those with hundreds."""
    ids: Mode = "off"
    """Matches item ids that events and catalogue spell differently."""
    stop_words: str | tuple[str, ...] = "off"
    """"off", "auto" (those of the catalogue's languages) or languages such as ["en", "de"]."""
    segment: bool = False
    """Segments Chinese texts into words instead of character bigrams."""
    stem: str = "off"
    """"off", "auto" (the catalogue's language) or a language such as "en"."""
    confidence: float = field(default=0.9, metadata={"low": 0.5, "high": 1.0})
    """Minimum confidence of proposals that a step set to "on" applies; others are only reported."""
    review: Path | None = None
    """CSV of proposals as written by `crossaisle clean`, with `yes` or `no` in the column `apply`."""

    def __post_init__(self) -> None:
        if isinstance(self.stop_words, str) and self.stop_words not in ("off", "auto"):
            raise ConfigError(
                f"stop_words must be 'off', 'auto' or a list of languages (found {self.stop_words!r})"
            )
        if self.abbreviations_file is not None and self.abbreviations == "off":
            raise ConfigError("abbreviations_file needs abbreviations = 'on' or 'report'")

    @property
    def words(self) -> bool:
        """Whether word-based models read words other than those in the titles."""
        return self.stop_words not in ("off", ()) or self.segment or self.stem != "off"
