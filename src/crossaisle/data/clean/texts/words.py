"""`WordForms`: which words of a text word-based models read. Titles are not changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from typing import Any

from crossaisle.clean_config import CleanConfig
from crossaisle.data.clean.libraries import library
from crossaisle.data.clean.texts.languages import languages_of
from crossaisle.errors import ConfigError, nearest

HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
STEMMERS = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "et": "estonian", "eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish",
    "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian",
    "lt": "lithuanian", "ne": "nepali", "nl": "dutch", "no": "norwegian", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish",
    "yi": "yiddish",
}  # fmt: skip
"""ISO 639-1 code -> Snowball's name of the language."""
MOST_STEMS = 500_000
"""Maximum number of cached stems, enough for large catalogues."""


@dataclass(frozen=True, kw_only=True)
class WordForms:
    """Word settings that are saved with a data set and with its models."""

    stop_words: tuple[str, ...] = ()
    """Languages whose stop words are removed."""
    segment: bool = False
    """Segment Chinese into words with jieba, instead of character bigrams."""
    stem: str = ""
    """Language of the stemmer (Snowball: Porter, 2001); "" for no stemming."""

    def __post_init__(self) -> None:
        if self.stem and self.stem not in STEMMERS:
            raise ConfigError(f"stem: no stemmer for {self.stem!r}{nearest(self.stem, STEMMERS)}")

    def __bool__(self) -> bool:
        return bool(self.stop_words or self.segment or self.stem)

    @classmethod
    def of(cls, config: CleanConfig, titles: Sequence[str]) -> WordForms:
        """The settings of `config`, with "auto" resolved to the catalogue's own languages."""
        if not config.words:
            return cls()
        auto = "auto" in (config.stop_words, config.stem)
        languages = languages_of(titles) if auto else None
        stops = config.stop_words if not isinstance(config.stop_words, str) else ()
        stem = "" if config.stem in ("off", "auto") else config.stem
        if languages is not None:
            if config.stop_words == "auto":
                stops = tuple(name for name in languages.large if has_stop_words(name))
            if config.stem == "auto" and languages.main in STEMMERS:
                stem = languages.main
        forms = cls(stop_words=stops, segment=config.segment, stem=stem)
        forms.words(["a", "的"])  # report a missing library or language now, not in the middle of a fit
        return forms

    def state(self) -> dict[str, Any]:
        """JSON-ready; see `restore`."""
        return asdict(self)

    @classmethod
    def restore(cls, state: Mapping[str, Any] | None) -> WordForms:
        """The inverse of `state`; a missing state means the defaults."""
        return cls(**{**state, "stop_words": tuple(state["stop_words"])}) if state else cls()

    def segmented(self, run: str) -> list[str]:
        """Segments a run of characters of a script without spaces into words; only Chinese is segmented."""
        return [word for word in self._cut(run) if word.strip()] if HAN.fullmatch(run) else [run]

    def words(self, found: Sequence[str]) -> list[str]:
        """Stems of lower-case words in order, without stop words."""
        if self.stop_words:
            found = [word for word in found if word not in self._stops]
        if not self.stem:
            return list(found)
        if missing := [word for word in dict.fromkeys(found) if word not in self._known]:
            if len(self._known) > MOST_STEMS:
                self._known.clear()
                missing = list(dict.fromkeys(found))
            self._known.update(zip(missing, self._stems(missing), strict=True))
        return [self._known[word] for word in found]

    @cached_property
    def _known(self) -> dict[str, str]:
        """Word -> stem, computed once."""
        return {}

    @cached_property
    def _stops(self) -> frozenset[str]:
        return frozenset().union(*(_stop_words(name) for name in self.stop_words))

    @cached_property
    def _cut(self) -> Callable[[str], list[str]]:
        cut: Callable[[str], list[str]] = _jieba().lcut
        return cut

    @cached_property
    def _stems(self) -> Callable[[list[str]], list[str]]:
        module = library("snowballstemmer", "the step stem")
        stems: Callable[[list[str]], list[str]] = module.stemmer(STEMMERS[self.stem]).stemWords
        return stems


def has_stop_words(language: str) -> bool:
    """Whether stopwordsiso has a list for a language."""
    return bool(library("stopwordsiso", "the step stop_words").has_lang(language))


@cache
def _stop_words(language: str) -> frozenset[str]:
    if not has_stop_words(language):
        known = sorted(library("stopwordsiso", "the step stop_words").langs())
        raise ConfigError(f"stop_words: none known for {language!r}{nearest(language, known)}")
    return frozenset(
        word.lower() for word in library("stopwordsiso", "the step stop_words").stopwords(language)
    )


@cache
def _jieba() -> Any:
    import logging

    jieba = library("jieba", "the step segment")
    jieba.setLogLevel(logging.WARNING)
    jieba.initialize()
    return jieba
