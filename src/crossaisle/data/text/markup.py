"""Removes HTML from texts: tags and entities are not words."""

from __future__ import annotations

import html
import re

import numpy as np
import numpy.typing as npt
import polars as pl

INLINE = (
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|del|em|font|i|ins|kbd|mark|q|s|samp|small|span|strike|strong|sub|"
    "sup|tt|u|var|wbr"
)
BLOCK = (
    "address|area|article|aside|audio|base|blockquote|body|br|button|canvas|caption|center|col|colgroup|dd|"
    "details|div|dl|dt|embed|fieldset|figcaption|figure|footer|form|h[1-6]|head|header|hr|html|iframe|img|"
    "input|label|legend|li|link|main|map|meta|nav|noscript|object|ol|optgroup|option|p|param|picture|pre|"
    "section|select|source|summary|svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|ul|video"
)
_HIDDEN = re.compile(
    r"<!--.*?-->|<!\[CDATA\[|\]\]>|<!doctype[^>]*>|<(script|style)\b.*?(</\1\s*>|$)", re.I | re.S
)
_INLINE = re.compile(rf"</?(?:{INLINE})(?:\s[^<>]*)?/?>", re.I)
_BLOCK = re.compile(rf"</?(?:{BLOCK})(?:\s[^<>]*)?/?>", re.I)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")


def without_markup(text: str) -> str:
    """The text without HTML tags, comments, scripts and styles, and with entities decoded.

    Only names of HTML elements count as tags: `List<String>` and `< 5` are kept.
    """
    for _ in range(3):  # feeds may escape a text several times
        before = text
        if "<" in text:
            text = _BLOCK.sub(" ", _INLINE.sub("", _HIDDEN.sub(" ", text)))
        if "&" in text:
            text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
        if text == before:
            break
    return text


def plain(texts: pl.Series) -> tuple[pl.Series, npt.NDArray[np.bool_]]:
    """`without_markup` for a column, and a mask of the texts that contained markup."""
    suspect = np.flatnonzero(texts.str.contains(r"<[a-zA-Z/!]|&[#a-zA-Z0-9]+;").fill_null(False).to_numpy())
    changed = np.zeros(len(texts), bool)
    if not len(suspect):
        return texts, changed
    before = texts.gather(suspect)
    after = pl.Series([without_markup(text) for text in before], dtype=pl.String)
    changed[suspect] = (before != after).to_numpy()
    return texts.scatter(suspect, after), changed
