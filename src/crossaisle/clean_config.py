"""`[data.clean]`: the steps that put a catalogue right, each off, on or with a setting of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from crossaisle.errors import ConfigError

Mode = Literal["off", "report", "on"]
"""Not looked at; looked at, with nothing changed; applied where the confidence suffices."""
LEARNED = ("brands", "abbreviations", "spelling", "categories", "structure", "ids")
"""Steps that learn from the catalogue, and whose proposals carry a confidence."""


@dataclass(frozen=True, kw_only=True)
class CleanConfig:
    """`[data.clean]`: on by default is only what cannot change what a text says.

    Steps of words (`stop_words`, `segment`, `stem`) change what word-based models read, never a title.
    """

    mojibake: Literal["auto", "on", "off"] = "auto"
    """Texts that were read in a wrong encoding, such as "LâOrÃ©al". "auto": where ftfy is installed."""
    width: bool = True
    """Full-width letters and digits, and half-width kana, as usual ones."""
    nfkc: bool = True
    """Compatibility characters (ligatures, "㎏") as usual ones; fractions, powers and "™" stay."""
    chinese: Literal["off", "simplified", "traditional"] = "off"
    """The script that Chinese texts are brought to."""
    language: Mode = "off"
    """Language per title, in the report."""
    brands: Mode = "off"
    """Spellings of one brand."""
    abbreviations: Mode = "off"
    """Titles that are till codes: abbreviations written out, and put in the order in which one reads."""
    abbreviations_file: Path | None = None
    """CSV with columns `short` and `long`: words or whole titles; "" for a word that says nothing."""
    sizes: bool = False
    """One spelling of amounts and units in titles: "16OZ." becomes "16 oz"."""
    spelling: Mode = "off"
    """Misspelt words of titles, against a dictionary of the catalogue's own words."""
    categories: Mode = "off"
    """Spellings of one category, below the same parent."""
    structure: Mode = "off"
    """Categories that stand at the top although they belong below another one."""
    groups: Mode = "off"
    """Variants (colour, size, pack) and twins as one group, which lists show once."""
    robots: Mode = "off"
    """Users whose tempo, breadth and regularity are not those of people, set aside with their events."""
    users: Mode = "off"
    """Attributes of users: bands, words for no value, rare values of attributes with thousands."""
    ids: Mode = "off"
    """Items that events and catalogue spell differently."""
    stop_words: str | tuple[str, ...] = "off"
    """"off", "auto" (those of the catalogue's languages) or languages such as ["en", "de"]."""
    segment: bool = False
    """Chinese texts in words instead of pairs of characters."""
    stem: str = "off"
    """"off", "auto" (the catalogue's language) or a language such as "en"."""
    confidence: float = field(default=0.9, metadata={"low": 0.5, "high": 1.0})
    """Proposals from here on are applied where a step is "on"; others only reported."""
    review: Path | None = None
    """CSV of proposals as `crossaisle clean` writes it, with `yes` or `no` in the column `apply`."""

    def __post_init__(self) -> None:
        if isinstance(self.stop_words, str) and self.stop_words not in ("off", "auto"):
            raise ConfigError(
                f"stop_words must be 'off', 'auto' or a list of languages (found {self.stop_words!r})"
            )
        if self.abbreviations_file is not None and self.abbreviations == "off":
            raise ConfigError("abbreviations_file needs abbreviations = 'on' or 'report'")

    @property
    def words(self) -> bool:
        """Whether word-based models read other words than titles have."""
        return self.stop_words not in ("off", ()) or self.segment or self.stem != "off"
