"""Product feeds as XML: a catalogue of its own, or the start of a file of settings."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from crossaisle.config import DataConfig
from crossaisle.data.exports.known import draft_of
from crossaisle.data.ingest.importer import Imported, import_dataset
from crossaisle.decode import build
from crossaisle.errors import DataError
from tests.data.ingest.shops import warned

RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel><title>A shop</title>
<item><g:id>m1</g:id><title>Mug &amp; lid</title><link>https://x.example/m</link><g:price>9.50 EUR</g:price>
 <g:availability>in_stock</g:availability><g:product_type>Kitchen &gt; Cups</g:product_type>
 <g:product_type>Sale &gt; Cups</g:product_type><g:color>blue</g:color>
 <g:shipping><g:country>DE</g:country><g:price>4 EUR</g:price></g:shipping></item>
<item><g:id>p1</g:id><title><![CDATA[Pan <b>big</b>]]></title><link>https://x.example/p</link>
 <g:price>30.00 EUR</g:price><g:availability>out of stock</g:availability></item>
</channel></rss>
"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0"><title>x</title>
<entry><g:id>a</g:id><title>Tasse groß</title><g:link>https://x.example/a</g:link><g:price>1.50 EUR</g:price>
<g:brand>Feld</g:brand></entry></feed>"""


def load(folder: Path, name: str, content: bytes, **items: Any) -> Imported:
    (folder / name).write_bytes(content)
    return import_dataset(build(DataConfig, {"items": {"path": name, **items}}, "test", base=folder))


@pytest.mark.parametrize("name", ["feed.xml", "feed.xml.gz", "feed.rss"])
def test_a_feed_is_a_catalogue_without_settings(tmp_path: Path, name: str) -> None:
    content = RSS.encode()
    done = load(tmp_path, name, gzip.compress(content) if name.endswith(".gz") else content)
    items = done.dataset.items.select("item_id", "title", "price", "in_stock", "attributes").rows()
    assert items == [
        ("m1", "Mug & lid", 9.5, True, '{"color": "blue"}'),
        ("p1", "Pan big", 30.0, False, ""),
    ]
    assert done.dataset.taxonomy.paths == ((("Kitchen", "Cups"), ("Sale", "Cups")), ())
    assert warned(done, "read as a product feed: item_id = id, title = title")


def test_atom_in_another_encoding(tmp_path: Path) -> None:
    text = '<?xml version="1.0" encoding="ISO-8859-1"?>' + ATOM
    done = load(tmp_path, "feed.atom", text.encode("latin-1"))
    assert done.dataset.items.select("item_id", "title", "brand").rows() == [("a", "Tasse groß", "Feld")]


def test_other_xml_has_columns_like_any_table(tmp_path: Path) -> None:
    text = '<shop><offers><offer id="7"><name>Mug</name><a><b>x</b></a></offer></offers></shop>'
    settings = {"columns": {"item_id": "id", "title": "name", "attributes": ["a.b"]}}
    done = load(tmp_path, "export.xml", text.encode(), **settings)
    assert done.dataset.items.select("item_id", "title", "attributes").rows() == [
        ("7", "Mug", '{"a.b": "x"}')
    ]


def test_import_from_google_merchant(tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_text(RSS, encoding="utf-8")
    draft = draft_of("google-merchant", [tmp_path / "feed.xml"])
    assert draft.tables["items"]["columns"]["in_stock"] == "availability"
    assert draft.tables["items"]["columns"]["attributes"] == ["color"]


LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "'
    + "ha" * 500
    + '">'
    + "".join(f'<!ENTITY {new} "{f"&{old};" * 60}">' for old, new in ("ab", "bc", "cd", "de"))
    + "]><x><item><id>&e;</id></item></x>"
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (RSS[:-40], "cannot be read as XML (unclosed token: line 8"),
        (RSS.replace("</g:price>", "</price>"), "cannot be read as XML (mismatched tag"),
        ("<x><y/></x>", "no product found: it has none of the elements item, entry"),
        (LAUGHS, "cannot be read as XML (limit on input amplification"),
        (
            '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><x><item><id>&e;</id></item></x>',
            "undefined entity",
        ),
        ("item_id,title\na,b\n", "cannot be read as XML (syntax error"),
    ],
)
def test_a_feed_that_cannot_be_read(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DataError) as error:
        load(tmp_path, "feed.xml", text.encode())
    assert reason in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "feed.xml"))
