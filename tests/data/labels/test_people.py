from pathlib import Path

import polars as pl
import pytest
from sklearn.metrics import cohen_kappa_score

from crossaisle.data.dataset import Dataset
from crossaisle.data.labels.people import cohen_kappa, merge_people, read_people
from crossaisle.data.profile.fingerprint import fingerprint
from crossaisle.data.provenance import facts_of
from crossaisle.errors import DataError
from crossaisle.pipeline.analysis.labels import export_labels

HEAD = "item_a,item_b,label,annotator\n"


def write(folder: Path, text: str, name: str = "people.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_votes_ties_and_kappa(tmp_path: Path):
    one = write(tmp_path, HEAD + "a,b,1,ann\na,c,0,ann\nb,c,yes,ann\nc,d,no,ann\n", "ann.csv")
    two = write(tmp_path, HEAD + "a,b,true,bob\na,c,1,bob\nb,c,1,bob\nc,d,0,bob\na,b,0,cid\n", "bob.csv")
    (found,) = read_people(one, two)
    assert found.pairs.rows() == [("a", "b", 1), ("b", "c", 1), ("c", "d", 0)]
    assert found.ties == 1
    kappa, pairs = found.kappa["ann", "bob"]
    assert pairs == 4
    assert kappa == pytest.approx(cohen_kappa_score([1, 0, 1, 0], [1, 1, 1, 0])) == pytest.approx(0.5)
    assert found.kappa["ann", "cid"] == (0.0, 1)


def test_full_agreement_is_one_also_with_one_label():
    assert cohen_kappa([1, 1], [1, 1]) == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item_a,item_b,label\n", "needs the columns label and annotator"),
        (HEAD + "a,b,1,ann\na,c,maybe,ann\n", r"line 3: label must be 1 or 0, yes or no \(found 'maybe'\)"),
        (HEAD + "a,b,1,ann\na,b,0,ann\n", "line 3: 'ann' labels a, b both yes and no"),
        (HEAD + "a,,1,ann\n", "line 2: an id or the annotator is empty"),
        (HEAD + "a,b,1\n", "line 2: an id or the annotator is empty"),
        ("", "found none"),
    ],
)
def test_bad_files_name_the_line(tmp_path: Path, text: str, message: str):
    with pytest.raises(DataError, match=message):
        read_people(write(tmp_path, text))


def test_people_count_above_events():
    given = pl.DataFrame(
        {"item_a": ["a", "c"], "item_b": ["b", "d"], "label": [0, 1]}, schema_overrides={"label": pl.Int8}
    )
    from crossaisle.data.labels.people import PeopleLabels

    events = pl.DataFrame(
        {
            "item_a": ["a", "b", "a"],
            "item_b": ["b", "a", "c"],
            "label": [1, 1, None],
            "lift": [2.0, 2.0, 3.0],
        },
        schema_overrides={"label": pl.Int8},
    )
    merged = merge_people(events, PeopleLabels("item_item", given, 0, {}))
    assert merged.pairs.select("item_a", "item_b", "label", "source").rows() == [
        ("a", "b", 0, "people"),
        ("b", "a", 0, "people"),
        ("a", "c", None, "events"),
        ("c", "d", 1, "people"),
        ("d", "c", 1, "people"),
    ]
    assert (merged.replaced, merged.added, merged.shared) == (2, 2, 2)


def test_exported_tables_carry_their_provenance(tmp_path: Path, shop: Dataset):
    people = write(tmp_path, HEAD + "bread,butter,0,ann\n")
    about = export_labels(shop, tmp_path / "out", scheme="category", seed=7, least=2, people=[people])
    facts = facts_of(tmp_path / "out" / "pairs.parquet")
    assert facts == about["pairs"]
    assert (facts["scheme"], facts["seed"], facts["data"]) == ("category", 7, fingerprint(shop))
    frame = pl.read_parquet(tmp_path / "out" / "together.parquet")
    assert frame.filter(pl.col("source") == "people").select("item_a", "label").rows() == [
        ("bread", 0),
        ("butter", 0),
    ]
    again = export_labels(shop, tmp_path / "again", scheme="category", seed=7, least=2, people=[people])
    assert again == about
    assert pl.read_parquet(tmp_path / "again" / "pairs.parquet").equals(
        pl.read_parquet(tmp_path / "out" / "pairs.parquet")
    )


def test_a_file_without_provenance_says_so(tmp_path: Path):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="carries no provenance"):
        facts_of(tmp_path / "x.parquet")
