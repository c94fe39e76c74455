"""XML product feeds: RSS and Atom as in Google Merchant Center, and others with one element per product.

Entities are not expanded beyond the parser's limits, and nothing outside of the file is read.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

import pyarrow as pa

from crossaisle.data.ingest.clean import texts
from crossaisle.data.ingest.limits import ReadLimits
from crossaisle.data.ingest.readers.parts import Part
from crossaisle.data.ingest.source import Source
from crossaisle.errors import DataError

RECORDS = ("item", "entry", "product", "offer", "article", "record", "row")
"""Names of the element that is one row; the first that occurs is used."""
Row = dict[str, str]


def read_xml(part: Part, limits: ReadLimits) -> Source:
    """A source with one row per product.

    Fields are named without their namespace (`g:price` is `price`), nested ones `field.inner`; a field that
    occurs several times in a product becomes a JSON list.
    """
    names: dict[str, None] = {}
    for row in itertools.islice(_rows(part), limits.json_head):
        names.update(dict.fromkeys(row))
    if not names:
        raise DataError(f"no product found: it has none of the elements {', '.join(RECORDS)}", file=part.file)

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        rows = _rows(part)
        while chunk := list(itertools.islice(rows, limits.json_batch)):
            columns = [texts(row.get(name) for row in chunk) for name in wanted]
            yield pa.RecordBatch.from_arrays(columns, names=list(wanted))

    return Source(part.file, tuple(names), batches)


def _rows(part: Part) -> Iterator[Row]:
    """One row per record; elements are freed as they are read."""
    record: str | None = None
    above: list[ElementTree.Element] = []
    try:
        with part.opener() as file:
            for event, element in ElementTree.iterparse(file, ("start", "end")):
                if event == "start":
                    if record is None and _local(element.tag) in RECORDS:
                        record = element.tag
                    above.append(element)
                    continue
                above.pop()
                if element.tag == record and all(one.tag != record for one in above):
                    yield _row(element)
                    if above:
                        above[-1].remove(element)
    except (ElementTree.ParseError, OSError, EOFError, ValueError, LookupError) as error:
        raise DataError(f"cannot be read as XML ({error})", file=part.file) from None


def _row(element: ElementTree.Element) -> Row:
    found: dict[str, list[str]] = {}
    for name, value in element.attrib.items():
        found.setdefault(_local(name), []).append(value)
    for child in element:
        name = _local(child.tag)
        inner = [(f"{name}.{_local(one.tag)}", one) for one in child] or [(name, child)]
        for called, one in inner:
            if value := "".join(one.itertext()).strip():
                found.setdefault(called, []).append(value)
    return {
        name: values[0] if len(values) == 1 else json.dumps(values, ensure_ascii=False)
        for name, values in found.items()
    }


def _local(tag: str) -> str:
    """An element's name without its namespace."""
    return tag.rsplit("}", 1)[-1]
