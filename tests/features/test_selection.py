import numpy as np
import pytest

from crossaisle.errors import DataError
from crossaisle.features.selection import select_features
from crossaisle.features.table import Table


def planted(seed: int = 0, rows: int = 1500) -> tuple[Table, np.ndarray, np.ndarray]:
    """Two columns that matter, a twin of one, a column of one value, ten of noise, one with gaps."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, rows).astype(np.int8)
    strong = label + rng.normal(size=rows)
    weak = 0.6 * label + rng.normal(size=rows)
    gaps = np.where(rng.random(rows) < 0.5, np.nan, label + 0.7 * rng.normal(size=rows))
    columns = {"strong": strong, "weak": weak, "twin": 3 * strong + 1, "flat": np.ones(rows), "gaps": gaps}
    columns |= {f"noise{i}": rng.normal(size=rows) for i in range(10)}
    return Table.of(columns, rows), label, (np.arange(rows) % 4).astype(np.int8)


@pytest.mark.slow
def test_what_matters_is_kept_and_why():
    table, label, fold = planted()
    found = select_features(table, label, fold)
    why = dict(zip(found.report["feature"], found.report["why"], strict=True))
    assert {"weak", "gaps"} <= set(found.kept)
    assert len({"strong", "twin"} & set(found.kept)) == 1
    assert sum(name.startswith("noise") for name in found.kept) <= 1
    assert why["flat"] == "hardly varies"
    (other,) = {"strong", "twin"} - set(found.kept)
    assert why[other] == "repeats another column"
    assert "permutation" in why["gaps"]
    assert set(found.report["feature"]) == set(table.names)
    again = select_features(table, label, fold)
    assert again.report.equals(found.report)


@pytest.mark.slow
def test_no_more_than_asked_for():
    table, label, fold = planted()
    found = select_features(table, label, fold, most=1)
    assert len(found.kept) == 1
    assert found.kept[0] in ("strong", "twin", "gaps")
    rest = found.report.filter(found.report["feature"] == "weak")["why"][0]
    assert rest == "less important than the columns that are kept"


def test_labels_of_one_kind_are_refused():
    table, label, fold = planted(rows=40)
    with pytest.raises(DataError, match="labels of both kinds"):
        select_features(table, np.ones_like(label), fold)
    with pytest.raises(DataError, match="two folds"):
        select_features(table, label, np.zeros_like(fold))
