"""Titles of the same product: duplicates, and variants in colour, size and pack."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import sparse

from crossaisle.data.clean.libraries import library
from crossaisle.data.clean.texts.brands import brand_key
from crossaisle.data.clean.texts.sizes import with_units, without_sizes

_NOISE_LIST = """
a an and by de for in new of on or the to with your la le el toy toys brand genuine original
official authentic item product sale
"""
NOISE = frozenset(_NOISE_LIST.split())
"""Words that may differ between two titles of one product."""
_COLOURS_LIST = """
amber aqua beige black blue bronze brown burgundy camel champagne charcoal chocolate copper coral
cream cyan ebony fuchsia gold golden gray green grey indigo ivory khaki lavender lilac magenta
maroon mauve mint multi multicolor multicolour mustard navy nude olive orange peach pink plum purple
red rose rust sand silver sky tan taupe teal turquoise violet white wine yellow dark light bright
schwarz weiss weiß rot blau grün gelb noir blanc rouge bleu vert jaune negro blanco rojo azul verde
"""
COLOURS = frozenset(_COLOURS_LIST.split())
GARMENT = re.compile(
    r"\b(?:size|sz)\s*\d{1,2}(?:\.5)?\b|\b(?:x{0,4}s|x{1,4}l|[2-6]xl?|[sml]|small|medium|x{0,2}-?large)\b|"
    r"\bone size\b",
    re.IGNORECASE,
)
_ONE = re.compile(
    r"\b(?:pack|set|box|qty)\s*(?:of)?\s*1\b|\b1\s?(?:pack|pk|count|ct|pcs?|piece)\b", re.IGNORECASE
)
_TOKEN = re.compile(r"[^\W_]+(?:\.\d+)?")
COMMON = 400
"""Number of titles from which on a word is too common to find candidates."""
ALIKE = 0.45
"""Cosine of two titles' words from which on the titles are compared letter by letter."""
BLOCK = 2_000
FEW = 12
"""Up to this many titles with the same numbers are compared without a search for candidates."""
SLIP_IN = 2
"""Maximum number of titles that contain a given misspelt word."""


@dataclass(frozen=True)
class Double:
    """Two rows with the same product."""

    one: int
    other: int
    confidence: float
    why: str


def words_of(title: str) -> list[str]:
    """Lower-case words of a title, without accents and punctuation, with amounts in one spelling."""
    text = unicodedata.normalize("NFKD", with_units([_ONE.sub(" ", unicodedata.normalize("NFKC", title))])[0])
    text = "".join(c for c in text if not unicodedata.combining(c)).casefold()
    return _TOKEN.findall(text.replace("'", "").replace("’", ""))


def twins(titles: Sequence[str], brands: Sequence[str]) -> Iterator[Double]:
    """Pairs of rows whose titles describe the same product.

    The titles have the same words in any order (.98), differ in filler words and the brand (.96), or in one
    rare word that is a letter away from the other's (.93). Numbers must be the same, and so must brands if
    both are known. Candidates are pairs whose words have a cosine of at least `ALIKE`.
    """
    rows_of: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    words = [words_of(title) for title in titles]
    keys = [brand_key(brand) if brand else "" for brand in brands]
    for row, found in enumerate(words):
        if found:
            rows_of[tuple(sorted(found))].append(row)
    for rows in rows_of.values():
        for row in rows[1:]:
            if _same_brand(keys[rows[0]], keys[row]):
                yield Double(rows[0], row, 0.98, "the same words")
    first = [rows[0] for rows in rows_of.values()]
    counts = Counter(word for row in first for word in set(words[row]))
    numbers = [_numbers(words[row], brands[row]) for row in first]
    for a, b in _candidates([words[row] for row in first], numbers, counts):
        one, other = first[a], first[b]
        if _same_brand(keys[one], keys[other]):
            brand = {w for row in (one, other) for w in words_of(brands[row] or "")}
            alike = _alike(words[one], words[other], brand, counts)
            if alike is not None:
                yield Double(one, other, *alike)


def variants(titles: Sequence[str], brands: Sequence[str]) -> Iterator[Double]:
    """Rows that differ only in colour, size or pack (.95): the remainders of their titles are equal.

    The remainder must identify the product: two words if there is a brand, else three.
    """
    groups: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, (title, brand) in enumerate(zip(titles, brands, strict=True)):
        bare = GARMENT.sub(" ", without_sizes(_ONE.sub(" ", title)))
        left = [word for word in words_of(bare) if word not in COLOURS and word not in NOISE]
        key = brand_key(brand) if brand else ""
        telling = [word for word in left if word not in words_of(brand)]
        if len(telling) >= (2 if key else 3):
            groups[(key, *sorted(left))].append(row)
    for rows in groups.values():
        for row in rows[1:]:
            yield Double(rows[0], row, 0.95, "the same except for colour, size and pack")


def pictures(images: Sequence[str | None], most: int = 20) -> Iterator[Double]:
    """Rows with the same picture (.92); one used by more than `most` rows is a placeholder."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for row, image in enumerate(images):
        if image:
            groups[image].append(row)
    for rows in groups.values():
        if len(rows) <= most:
            for row in rows[1:]:
                yield Double(rows[0], row, 0.92, "the same picture")


def joined(n: int, doubles: Iterable[Double]) -> np.ndarray:
    """int32 (n,): the first row of each row's group."""
    pairs = [(double.one, double.other) for double in doubles]
    if not pairs:
        return np.arange(n, dtype=np.int32)
    one, other = np.array(pairs, np.int64).T
    graph = sparse.coo_matrix((np.ones(len(one), bool), (one, other)), shape=(n, n))
    label = sparse.csgraph.connected_components(graph, directed=False)[1]
    first = np.full(label.max() + 1, n, np.int64)
    np.minimum.at(first, label, np.arange(n))
    found: np.ndarray = first[label].astype(np.int32)
    return found


def _same_brand(one: str, other: str) -> bool:
    return not one or not other or one == other


def _numbers(words: Sequence[str], brand: str) -> tuple[str, ...]:
    """Words with digits, without those of the brand."""
    found = sorted(word for word in words if any(map(str.isdigit, word)))
    return tuple(word for word in found if word not in words_of(brand)) if found and brand else tuple(found)


def _candidates(
    words: Sequence[Sequence[str]], numbers: Sequence[tuple[str, ...]], counts: Counter[str]
) -> Iterator[tuple[int, int]]:
    """Pairs of titles that share enough distinctive words and all numbers, each once."""
    code: dict[tuple[str, ...], int] = {}
    sign = np.array([code.setdefault(found, len(code)) for found in numbers], np.int64)
    column = {word: at for at, word in enumerate(w for w, n in counts.items() if 1 < n <= COMMON)}
    indptr, indices = [0], []
    for row in words:
        indices.extend(sorted({column[word] for word in row if word in column}))
        indptr.append(len(indices))
    weight = (
        np.log(len(words) / np.array([counts[word] for word in column], np.float64))
        if column
        else np.zeros(0)
    )
    at = np.array(indices, np.int32)
    matrix = sparse.csr_matrix((weight[at], at, np.array(indptr)), shape=(len(words), len(column)))
    # unique words count towards the norm as well, so that two short titles with typos stay dissimilar
    alone = np.array([sum(counts[w] == 1 and w.isalpha() for w in set(row)) for row in words])
    length = np.sqrt(
        np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel()
        + 0.25 * np.log(len(words) + 1) ** 2 * np.minimum(alone, 1)
    )
    matrix = sparse.diags(1.0 / np.maximum(length, 1e-9)) @ matrix
    matrix = matrix.astype(np.float32).tocsr()
    order = np.argsort(sign, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(sign[order])) + 1):
        if len(group) <= FEW:
            yield from combinations(group.tolist(), 2)
            continue
        part = matrix[group]
        transposed = part.T.tocsr()
        for start in range(0, len(group), BLOCK):
            found = (part[start : start + BLOCK] @ transposed).tocoo()
            near = (found.data >= ALIKE) & (found.row + start < found.col)
            one, other = group[found.row[near] + start], group[found.col[near]]
            yield from zip(one.tolist(), other.tolist(), strict=True)


def _alike(
    one: Sequence[str], other: Sequence[str], brand: set[str], counts: Counter[str]
) -> tuple[float, str] | None:
    """Confidence and reason if two lists of words describe the same product, else None."""
    left, right = (
        list((Counter(one) - Counter(other)).elements()),
        list((Counter(other) - Counter(one)).elements()),
    )
    if len(left) > 6 or len(right) > 6:
        return None
    slips = 0
    for word in list(left):
        match = next((w for w in right if _slip(word, w, counts)), None)
        if match is not None:
            left.remove(word)
            right.remove(match)
            slips += 1
    if slips > 1:
        return None
    rest = [*left, *right]
    if rest and "".join(left) == "".join(right):
        rest = []  # such as eye liner, eyeliner
    if any(word not in NOISE and word not in brand for word in rest):
        return None
    shared = len(one) - len(left)
    if shared < 2 or (slips and shared < 3):
        return None
    if slips:
        return 0.93, "the same words except for one letter"
    return 0.96, "the same except for filler words"


def _slip(one: str, other: str, counts: Counter[str]) -> bool:
    """Whether one word is a rare misspelling of the other."""
    short = min(len(one), len(other))
    if short < 4 or min(counts[one], counts[other]) > SLIP_IN or any(map(str.isdigit, one + other)):
        return False
    if {one.rstrip("s"), other.rstrip("s")} <= COLOURS:
        return False
    distance: int = library("rapidfuzz.distance", "the step groups").OSA.distance(one, other, score_cutoff=2)
    return distance <= (2 if short >= 9 else 1)
