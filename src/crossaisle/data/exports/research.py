"""Recognizes the files of public data sets."""

from __future__ import annotations

from typing import Any

from crossaisle.config import NULLS
from crossaisle.data.exports.files import Draft, Files, Given


def retailrocket(files: Files) -> Draft:
    """`events.csv`, `item_properties_part1.csv` and `_part2.csv`, `category_tree.csv`."""
    draft = Draft()
    events = files.one("timestamp", "visitorid", "event", "itemid")
    properties = files.take("timestamp", "itemid", "property", "value")
    tree = files.one("categoryid", "parentid")
    if properties:
        if tree is not None:
            draft.data["category_tree"] = {"path": tree.path, "id": "categoryid", "parent": "parentid"}
        draft.table(
            "items",
            properties,
            keep={"property": ["categoryid"]},
            columns={"item_id": "itemid", "categories": "value"},
        )
        draft.remarks.append("Of each item's properties only its category is read; the first one counts.")
    if events:
        draft.table(
            "events",
            events,
            columns={
                "item_id": "itemid",
                "user_id": "visitorid",
                "time": "timestamp",
                "kind": "event",
                "basket_id": "transactionid",
            },
        )
    return draft


def instacart(files: Files) -> Draft:
    """`orders.csv`, `order_products__*.csv`, `products.csv`, `aisles.csv`, `departments.csv`."""
    draft = Draft()
    orders = files.one("order_id", "user_id", "order_number")
    lines = files.take("order_id", "product_id", "add_to_cart_order")
    products = files.one("product_id", "product_name")
    aisles, departments = files.one("aisle_id", "aisle"), files.one("department_id", "department")
    if products:
        joins = [
            {"path": table.path, "on": key}
            for table, key in ((departments, "department_id"), (aisles, "aisle_id"))
            if table is not None
        ]
        levels = [n for table, n in ((departments, "department"), (aisles, "aisle")) if table is not None]
        draft.table(
            "items",
            products,
            join=joins or None,
            columns={"item_id": "product_id", "title": "product_name", "categories": levels},
        )
    if lines and orders is None:
        draft.table("events", lines, columns={"item_id": "product_id", "basket_id": "order_id"})
        draft.remarks.append(
            "Without the table of orders nobody knows the customers: each order is a history."
        )
    elif lines and orders:
        draft.table(
            "events",
            lines,
            join=[{"path": orders.path, "on": "order_id", "columns": ["user_id", "order_number"]}],
            columns={
                "item_id": "product_id",
                "user_id": "user_id",
                "basket_id": "order_id",
                "position": "order_number",
            },
        )
        draft.remarks.append("There are no dates, only the order of a customer's orders.")
    return draft


def olist(files: Files) -> Draft:
    """`olist_order_items_dataset.csv` and the tables of orders, customers, products and translations."""
    draft = Draft()
    lines = files.one("order_id", "order_item_id", "product_id")
    orders = files.one("order_id", "customer_id", "order_purchase_timestamp")
    customers = files.one("customer_id", "customer_unique_id")
    translation = files.one("product_category_name", "product_category_name_english")
    products = files.one("product_id", "product_category_name")
    if products:
        english = [{"path": translation.path, "on": "product_category_name"}] if translation else None
        category = "product_category_name_english" if translation else "product_category_name"
        draft.table(
            "items", products, join=english, columns={"item_id": "product_id", "categories": category}
        )
    if lines and orders:
        joins: list[dict[str, Any]] = [{"path": orders.path, "on": "order_id"}]
        if customers:
            joins.append({"path": customers.path, "on": "customer_id"})
        draft.table(
            "events",
            lines,
            join=joins,
            drop={"order_status": ["canceled", "unavailable"]} if orders.has("order_status") else None,
            columns={
                "item_id": "product_id",
                "user_id": "customer_unique_id" if customers else "customer_id",
                "basket_id": "order_id",
                "time": "order_purchase_timestamp",
                "value": "price" if lines.has("price") else None,
            },
        )
        draft.data["default_kind"] = "purchase"
        if not customers:
            draft.remarks.append("Without the table of customers every order has a customer of its own.")
    return draft


def movielens(files: Files) -> Draft:
    """`ratings.csv`, `movies.csv`, `tags.csv`, or `ratings.dat` and `movies.dat` without headers."""
    draft = Draft(data={"path_separator": "|"})
    ratings, movies = files.one("userId", "movieId", "rating"), files.one("movieId", "title", "genres")
    tags = files.one("userId", "movieId", "tag")
    item, user = "movieId", "userId"
    form: dict[str, Any] = {}
    if ratings is None and movies is None:
        ratings, movies = files.one(name=r"^ratings\.dat$"), files.one(name=r"^movies\.dat$")
        item, user = "item_id", "user_id"
        form = {"format": "csv", "delimiter": "::", "header": False}
    if movies:
        names = {"names": ["item_id", "title", "genres"]} if form else {}
        draft.data["nulls"] = ["(no genres listed)", *NULLS]
        draft.table(
            "items",
            movies,
            **form,
            **names,
            join=[{"path": tags.path, "on": "movieId", "columns": ["tag"], "take": "all"}] if tags else None,
            columns={
                "item_id": item,
                "title": "title",
                "categories": "genres",
                "attributes": ["tag"] if tags else None,
            },
        )
    if ratings:
        names = {"names": ["user_id", "item_id", "rating", "timestamp"]} if form else {}
        columns = {"item_id": item, "user_id": user, "time": "timestamp", "value": "rating"}
        draft.table("events", ratings, **form, **names, columns=columns)
        draft.data["default_kind"] = "rating"
        draft.remarks.append("Ratings below the middle of the scale count as dislikes: see low_rating.")
    return draft


def recbole(files: Files) -> Draft:
    """Atomic files: `NAME.inter`, `NAME.item`, `NAME.user`, with types in the header."""
    draft = Draft()
    events, items = files.one(name=r"\.inter$"), files.one(name=r"\.item$")
    users = files.one(name=r"\.user$")

    def column(given: Given, *words: str) -> str | None:
        return next((n for w in words for n in given.names if w in n.split(":")[0].lower()), None)

    if items:
        categories = column(items, "categor", "genre", "class")
        if categories is not None and categories.endswith("_seq"):
            draft.data["path_separator"] = " "
        known = {
            "item_id": column(items, "item_id", "item"),
            "title": column(items, "title", "name"),
            "categories": categories,
            "brand": column(items, "brand"),
            "price": column(items, "price"),
        }
        rest = [n for n in items.names if n not in known.values() and ":token" in n]
        draft.table("items", items, format="tsv", columns={**known, "attributes": rest})
    if events:
        draft.table(
            "events",
            events,
            format="tsv",
            columns={
                "item_id": column(events, "item_id", "item"),
                "user_id": column(events, "user_id", "session", "user"),
                "time": column(events, "timestamp", "time"),
                "value": column(events, "rating"),
            },
        )
    if users:
        draft.table("users", users, format="tsv", columns={"user_id": column(users, "user")})
    return draft


def otto(files: Files) -> Draft:
    """Sessions as JSON Lines, each with its list of events."""
    draft = Draft()
    if sessions := files.take("session", "events"):
        draft.table(
            "events",
            sessions,
            explode="events",
            columns={
                "item_id": "events.aid",
                "user_id": "session",
                "time": "events.ts",
                "kind": "events.type",
            },
        )
    return draft


def amazon_reviews(files: Files) -> Draft:
    """Reviews and metadata of a category, as JSON Lines of 2014, 2018 or 2023."""
    draft = Draft(data={"category_lists": "path"})
    events = files.one("reviewerID", "asin", "unixReviewTime") or files.one(
        "user_id", "parent_asin", "rating", "timestamp"
    )
    items = next((f for f in files.left if f.has("title") and (f.has("asin") or f.has("parent_asin"))), None)
    if items is not None:
        files.left.remove(items)
        draft.table(
            "items",
            items,
            columns={
                "item_id": items.first_of("parent_asin", "asin"),
                "title": "title",
                "description": items.first_of("description"),
                "categories": items.first_of("categories", "category", "main_category"),
                "brand": items.first_of("brand", "store"),
                "price": items.first_of("price"),
                "image": items.first_of("imUrl", "imageURL"),
            },
        )
    if events:
        new = events.has("parent_asin")
        draft.table(
            "events",
            events,
            columns={
                "item_id": "parent_asin" if new else "asin",
                "user_id": "user_id" if new else "reviewerID",
                "time": "timestamp" if new else "unixReviewTime",
                "value": "rating" if new else "overall",
            },
        )
        draft.data["default_kind"] = "rating"
        draft.remarks.append("Ratings below the middle of the scale count as dislikes: see low_rating.")
    return draft
