"""What an unknown folder is taken for, and what is said to be unsure."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossaisle.config import load_config
from crossaisle.data.exports.files import Draft
from crossaisle.data.exports.known import draft_of_folder
from crossaisle.data.exports.toml import to_toml
from crossaisle.data.ingest.importer import Imported, import_dataset

ARTICLES = (
    "Artikelnummer;Bezeichnung;Warengruppe;Preis;Lagernd\n"
    "00100;Tasse groß;Küche/Tassen;1.299,00 €;ja\n00101;Pfanne;Küche/Pfannen;10,75 €;nein\n"
)
SALES = (
    "Bestellnr;Kunde;Artikelnummer;Datum;Menge\n"
    "7000;502;00100;31.12.2023 18:12;1,5\n7001;510;00101;01.01.2024 9:56;1\n7002;;00100;02.01.2024 9:56;1\n"
)
CLIENTS = "Kundennr;Stadt\n502;Ulm\n510;Bonn\n"


def guessed(folder: Path, **files: str) -> Draft:
    (folder / "in").mkdir()
    for name, text in files.items():
        (folder / "in" / name.replace("__", ".")).write_bytes(text.encode("cp1252"))
    return draft_of_folder(folder / "in")


def imported(draft: Draft, folder: Path) -> Imported:
    (folder / "shop.toml").write_text(to_toml(draft, folder), encoding="utf-8")
    return import_dataset(load_config(folder / "shop.toml").data)


def unsure(draft: Draft) -> str:
    return "\n".join(r for r in draft.remarks if r.startswith("UNSURE"))


def test_a_german_spreadsheet(tmp_path: Path) -> None:
    draft = guessed(tmp_path, artikel__csv=ARTICLES, verkauf__csv=SALES, kunden__csv=CLIENTS)
    done = imported(draft, tmp_path)
    shop = done.dataset
    assert shop.items.select("item_id", "title", "in_stock").rows() == [
        ("00100", "Tasse groß", True),
        ("00101", "Pfanne", False),
    ]
    assert shop.items["price"].to_list() == [1299.0, 10.75]
    assert shop.taxonomy.paths == ((("Küche", "Tassen"),), (("Küche", "Pfannen"),))
    assert done.report["time"] == ["2023-12-31T18:12:00", "2024-01-02T09:56:00"]
    assert shop.users.rows() == [("502", "Ulm"), ("510", "Bonn"), ("basket:7002", None)]
    assert "'/' in 'Küche/Tassen' was taken as the separator between levels" in unsure(draft)
    text = (tmp_path / "shop.toml").read_text(encoding="utf-8")
    assert "user_id = \"Kunde\"  # '502', '510'" in text


@pytest.mark.parametrize(
    ("items", "events", "columns"),
    [
        (
            "Référence,Désignation,Catégorie,Marque,Prix TTC",
            "N° facture,Référence,Numéro client,Quantité,Date",
            ["Référence", "Désignation", "Catégorie", "Marque", "Prix TTC", "Numéro client", "Date"],
        ),
        (
            "Código artículo,Título,Categoría,Precio",
            "Pedido,Código artículo,Cliente,Cantidad,Fecha",
            ["Código artículo", "Título", "Categoría", "Precio", "Cliente", "Pedido", "Fecha", "Cantidad"],
        ),
        (
            "商品编号,商品名称,类目,品牌,价格",
            "订单号,商品编号,用户编号,数量,下单时间",
            ["商品编号", "商品名称", "类目", "品牌", "价格", "用户编号", "订单号", "下单时间", "数量"],
        ),
    ],
    ids=["french", "spanish", "chinese"],
)
def test_names_of_columns_in_other_languages(
    tmp_path: Path, items: str, events: str, columns: list[str]
) -> None:
    (tmp_path / "in").mkdir()
    for name, head in (("products", items), ("orders", events)):
        rows = "".join(f"{n},{n},{n},{n},2024-01-0{n}\n" for n in (1, 2, 3))
        (tmp_path / "in" / f"{name}.csv").write_text(f"{head}\n{rows}", encoding="utf-8")
    draft = draft_of_folder(tmp_path / "in")
    found = {v for table in draft.tables.values() for v in table["columns"].values()}
    assert set(columns) <= found


def test_days_that_mean_two_things_are_unsure(tmp_path: Path) -> None:
    rows = "user,product,date\n1,a,03/04/2024\n2,b,05/06/2024\n"
    draft = guessed(tmp_path, log__csv=rows)
    assert draft.data["time_unit"] == "%d/%m/%Y"
    assert "times such as '03/04/2024': set time_unit to '%d/%m/%Y' or '%m/%d/%Y'" in unsure(draft)
    assert len(imported(draft, tmp_path).dataset.raw.events) == 2


def test_two_columns_that_may_be_the_time(tmp_path: Path) -> None:
    rows = "user,product,timestamp,created_at\n1,a,1700000000,2024-01-01\n2,b,1700000100,2024-01-02\n"
    draft = guessed(tmp_path, log__csv=rows)
    assert draft.examples["events", "time"] == "'1700000000', '1700000100' UNSURE: or 'created_at'?"


LOG = (
    '{"event_type": "product_viewed", "occurred_at": "2026-05-01T02:08:23.982+02:00", "session_id": "s1", '
    '"customer_id": null, "order_id": null, "sku": "A"}\n'
    '{"event_type": "wishlist_added", "occurred_at": "2026-05-01T02:09:23.982-05:00", "session_id": "s1", '
    '"customer_id": null, "order_id": null, "sku": "B"}\n'
    '{"event_type": "order_completed", "occurred_at": "2026-05-02T02:08:23Z", "session_id": "s2", '
    '"customer_id": "C7", "order_id": "V9", "sku": "A"}\n'
    '{"event_type": "unboxed", "occurred_at": "2026-05-03T02:08:23Z", "session_id": "s3", '
    '"customer_id": "C7", "order_id": null, "sku": "A"}\n'
)


def test_a_log_of_visits_keeps_its_guests(tmp_path: Path) -> None:
    goods = (
        '{"sku": "A", "name": "Lamp", "category": "Home > Light > Lamps"}\n'
        '{"sku": "B", "name": "Bulb", "category": "Home > Light > Bulbs"}\n'
        '{"sku": "C", "name": "Phone", "category": "Electronics > Phones > Phones"}\n'
    )
    draft = guessed(tmp_path, log__jsonl=LOG, goods__jsonl=goods)
    assert draft.tables["events"]["columns"] == {
        "item_id": "sku",
        "user_id": "customer_id",
        "basket_id": "session_id",
        "time": "occurred_at",
        "kind": "event_type",
    }
    done = imported(draft, tmp_path)
    assert set(done.dataset.user_ids.all) == {"basket:s1", "C7"}
    assert len(done.dataset.raw.events) == 4
    assert done.report["time"] == ["2026-05-01T00:08:23", "2026-05-02T02:08:23"]
    said = unsure(draft)
    assert "guests are told apart by 'session_id'" in said
    assert "until [data.kinds] says what they mean: 'unboxed' (1)" in said
    assert "level 0 has 2, 1 has 2, 2 has 3: set category_level" in said


def test_rows_of_nobody_are_told(tmp_path: Path) -> None:
    rows = "customer,order,sku,date\n1,10,a,2024-01-01\n,,b,2024-01-02\n,12,a,2024-01-03\n,,a,2024-01-04\n"
    draft = guessed(tmp_path, log__csv=rows)
    assert "50% of the first rows name neither user nor basket: they are set aside" in unsure(draft)
    assert draft.tables["events"]["columns"]["basket_id"] == "order"


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("Beleg-Nr.;Belegdatum;Kd.-Nr.;Artikelnr.;Menge", ("Kd.-Nr.", "Beleg-Nr.", "Belegdatum", "Menge")),
        (
            "N° commande;Date commande;Client;Référence;Quantité",
            ("Client", "N° commande", "Date commande", "Quantité"),
        ),
        ("Pedido;Fecha;Cliente;Código;Cantidad", ("Cliente", "Pedido", "Fecha", "Cantidad")),
        ("Ordine;Quando;Cliente;Articolo;Quantità", ("Cliente", "Ordine", "Quando", "Quantità")),
    ],
)
def test_lines_of_orders_in_other_languages(tmp_path: Path, head: str, names: tuple[str, ...]) -> None:
    """`Quando` is in no list of names: its values are days."""
    rows = f"{head}\n1;31.12.2023;502;00100;1\n2;01.01.2024;510;00101;2\n"
    draft = guessed(tmp_path, zeilen__csv=rows)
    columns = draft.tables["events"]["columns"]
    assert tuple(columns[c] for c in ("user_id", "basket_id", "time", "quantity")) == names
    assert imported(draft, tmp_path).report["time"] == ["2023-12-31T00:00:00", "2024-01-01T00:00:00"]


def test_the_ids_of_items_are_those_that_events_name(tmp_path: Path) -> None:
    items = "id,sku,name\n1,X7,Mug\n2,X8,Pan\n3,X9,Pot\n"
    draft = guessed(tmp_path, products__csv=items, log__csv="visitor_id,item\n5,X7\n6,X8\n5,X9\n")
    assert draft.tables["items"]["columns"]["item_id"] == "sku"
    assert imported(draft, tmp_path).dataset.items["title"].to_list() == ["Mug", "Pan", "Pot"]
    (tmp_path / "more").mkdir()
    draft = guessed(tmp_path / "more", products__csv=items, log__csv="visitor_id,item\n5,Z7\n6,Z8\n")
    assert "only 0% of the first events' item_id are in column" in unsure(draft)


def test_months_are_one_table_and_the_rest_is_named(tmp_path: Path) -> None:
    month = "user_id,item_id,time\n{},a,2024-01-01\n"
    files = {f"2024-{m}__csv": month.format(m) for m in range(3)}
    draft = guessed(tmp_path, **files, notes__csv="x,y\n1,2\n", broken__jsonl="nothing\n")
    assert imported(draft, tmp_path).dataset.n_users == 3
    assert "notes.csv is not used (x, y)" in unsure(draft)
    assert "no line holds a JSON object" in unsure(draft)


def test_items_out_of_the_lines_of_orders(tmp_path: Path) -> None:
    rows = (
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID\n"
        "536365,85123A,MUG,6,12/1/2010 8:26,2.55,17850.0\n"
    )
    draft = guessed(tmp_path, retail__csv=rows + "536366,85124A,PAN,6,12/13/2010 8:26,2.55,17850.0\n")
    done = imported(draft, tmp_path)
    assert done.dataset.items["title"].to_list() == ["MUG", "PAN"]
    assert list(done.dataset.user_ids.all) == ["17850"]
    assert draft.data["time_unit"] == "%m/%d/%Y %H:%M"


@pytest.mark.parametrize("name", ["events__csv", "users__csv"])
def test_a_folder_without_events(tmp_path: Path, name: str) -> None:
    draft = guessed(tmp_path, **{name: "502,1000,pv,1725185520\n510,1032,buy,1725242160\n"})
    assert "no file has an item and a user" in unsure(draft)
    assert "seems to have no header (502, 1000, pv, 1725185520): set header = false" in unsure(draft)


def test_orders_that_repeat_their_id(tmp_path: Path) -> None:
    draft = guessed(
        tmp_path,
        orders__csv="id,goods\n1,milk\n1,bread\n2,milk\n",
        kinds__csv="goods,types\nmilk,dairy\nbread,bakery\n",
    )
    done = imported(draft, tmp_path)
    assert done.dataset.users_are_baskets
    assert done.dataset.taxonomy.paths == ((("dairy",),), (("bakery",),))
    assert "each basket is then a history of its own" in unsure(draft)


PRODUCTS = (
    "sku,name,aisle,department,class,vat_class,dept_code\n"
    "a1,Whole milk,Milk,Dairy,x,A,1\na2,Oat milk,Milk,Dairy,x,B,1\na3,Butter,Butter,Dairy,x,C,1\n"
    "b1,Rye,Bread,Bakery,x,A,2\nb2,Rolls,Bread,Bakery,x,B,2\nb3,Cake,Cakes,Bakery,x,C,2\nc,Comb,,Care,x,A,3\n"
)


def test_several_columns_of_categories_are_the_levels_of_a_path(tmp_path: Path) -> None:
    draft = guessed(tmp_path, products__csv=PRODUCTS, log__csv="user,item\nu,a1\nv,b1\n")
    assert draft.tables["items"]["columns"]["categories"] == ["department", "aisle"]
    assert draft.examples["items", "categories"] == "'Dairy' > 'Milk'"
    assert "levels of the categories, by how many values they have: department (3) > aisle (4)" in unsure(
        draft
    )
    assert "'class'" in unsure(draft)
    assert "has a single value: no level of the categories" in unsure(draft)
    assert "not used of items: 'class', 'vat_class', 'dept_code'; attributes may name" in "\n".join(
        draft.remarks
    )
    assert imported(draft, tmp_path).dataset.taxonomy.paths[0] == (("Dairy", "Milk"),)


def test_columns_that_do_not_nest_are_no_path(tmp_path: Path) -> None:
    rows = [f"i{n},{'ABC'[n % 3]},{'KLMN'[n % 4]},{n % 24},{'ABC'[n % 3]}!\n" for n in range(96)]
    text = "sku,department,section,aisle,dept\n" + "".join(rows)
    draft = guessed(tmp_path, products__csv=text)
    assert draft.tables["items"]["columns"]["categories"] == ["department", "aisle"]
    assert "column 'section' of " in unsure(draft)
    assert "does not nest with department > aisle: no level" in unsure(draft)
    assert "repeats 'department': no level" in unsure(draft)


def test_a_column_of_whole_paths_needs_no_levels(tmp_path: Path) -> None:
    draft = guessed(
        tmp_path, products__csv="sku,category,department\na,Food > Milk,Food\nb,Food > Rye,Food\n"
    )
    assert draft.tables["items"]["columns"]["categories"] == "category"
    assert "'category' holds whole paths, so these columns are not used as levels: 'department'" in unsure(
        draft
    )


def test_families_and_german_names_are_known(tmp_path: Path) -> None:
    draft = guessed(
        tmp_path,
        artikel__csv="artikelnummer,titel,group_id\n1,Tasse,g\n2,Becher,g\n",
        log__csv="kunde,artikelnummer,bestellt_am\nu,1,2024-01-02\nv,2,2024-01-03\n",
    )
    assert draft.tables["items"]["columns"]["group_id"] == "group_id"
    assert draft.tables["items"]["columns"]["title"] == "titel"
    assert draft.tables["events"]["columns"]["time"] == "bestellt_am"
    assert "not used" not in "\n".join(draft.remarks)
    assert imported(draft, tmp_path).dataset.items["group"].to_list() == ["g", "g"]
