"""Recognizes exports of shop systems and analytics tools."""

from __future__ import annotations

from crossaisle.data.exports.files import Draft, Files
from crossaisle.data.ingest.feeds import feed_columns


def shopify(files: Files) -> Draft:
    """Products and orders as CSV: a row per variant and per order line, cells empty where they repeat."""
    draft = Draft()
    if products := files.one("Handle", "Title", "Variant SKU"):
        filled = ["Title", "Body (HTML)", "Vendor", "Product Category", "Type", "Status"]
        draft.table(
            "items",
            products,
            fill_down={"columns": [n for n in filled if n in products.names], "by": "Handle"},
            keep={"Status": ["active", ""]} if products.has("Status") else None,
            columns={
                "item_id": "Variant SKU",
                "title": "Title",
                "description": products.first_of("Body (HTML)"),
                "categories": products.first_of("Product Category", "Type"),
                "brand": products.first_of("Vendor"),
                "group_id": "Handle",
                "price": products.first_of("Variant Price"),
                "image": products.first_of("Image Src", "Variant Image"),
                "in_stock": products.first_of("Variant Inventory Qty"),
            },
        )
        draft.remarks.append("Rows without a SKU (further pictures of a product) are set aside.")
    if orders := files.take("Name", "Lineitem sku", "Created at"):
        first = orders[0]
        filled = ["Email", "Financial Status", "Cancelled at", "Created at"]
        draft.table(
            "events",
            orders,
            fill_down={"columns": [n for n in filled if first.has(n)], "by": "Name"},
            keep={"Cancelled at": [""]} if first.has("Cancelled at") else None,
            drop={"Financial Status": ["refunded", "voided"]} if first.has("Financial Status") else None,
            guests="baskets",
            columns={
                "item_id": "Lineitem sku",
                "user_id": first.first_of("Email", "Customer ID"),
                "basket_id": "Name",
                "time": "Created at",
                "quantity": first.first_of("Lineitem quantity"),
                "value": first.first_of("Lineitem price"),
            },
        )
        draft.remarks.append("Cancelled and refunded orders are left out.")
    return draft


def woocommerce(files: Files) -> Draft:
    """Products as CSV, orders as the JSON of the REST API."""
    draft = Draft()
    if products := files.one("ID", "Name", "Categories"):
        draft.data = {"path_separator": ","}
        draft.table(
            "items",
            products,
            keep={"Published": ["1"]} if products.has("Published") else None,
            # order lines name the product, whichever variation was bought
            drop={"Type": ["variation"]} if products.has("Type") else None,
            columns={
                "item_id": "ID",
                "title": "Name",
                "description": products.first_of("Description", "Short description"),
                "categories": "Categories",
                "brand": products.first_of("Brands", "Brand"),
                "price": products.first_of("Regular price"),
                "image": products.first_of("Images"),
                "in_stock": products.first_of("In stock?", "Stock"),
            },
        )
    elif any(file.has("ID") for file in files.left):  # its columns are named in the shop's language
        draft.data = {"path_separator": ","}
    if orders := files.take("line_items", "status"):
        first = orders[0]
        draft.table(
            "events",
            orders,
            explode="line_items",
            drop={"status": ["cancelled", "refunded", "failed", "trash"]},
            guests="baskets",
            columns={
                "item_id": "line_items.product_id",
                "user_id": first.first_of("billing.email", "customer_id"),
                "basket_id": "id",
                "time": first.first_of("date_created_gmt", "date_created"),
                "quantity": "line_items.quantity",
                "value": "line_items.price",
            },
        )
    return draft


def magento(files: Files) -> Draft:
    """The catalogue as CSV (`catalog_product.csv`): a row per product and store view."""
    draft = Draft()
    if products := files.one("sku", "store_view_code", "name"):
        draft.data = {
            "category_separator": "/",
            "path_separator": ",",
            "category_roots": ["Default Category", "Root Catalog"],
        }
        draft.table(
            "items",
            products,
            keep={"store_view_code": [""]},
            columns={
                "item_id": "sku",
                "title": "name",
                "description": products.first_of("description", "short_description"),
                "categories": products.first_of("categories"),
                "price": products.first_of("price"),
                "image": products.first_of("base_image"),
                "in_stock": products.first_of("is_in_stock", "qty"),
            },
        )
        draft.remarks.append("Only the rows of the default store view: the others repeat products.")
    return draft


def google_merchant(files: Files) -> Draft:
    """A product feed as XML, TSV or CSV. Orders come from elsewhere."""
    draft = Draft(data={"category_lists": "paths"})  # a product type may be given several times
    feed = next((file for file in files.left if feed_columns(file.names)), None)
    if feed is not None:
        files.left.remove(feed)
        columns = feed_columns(feed.names)
        single = {name: names[0] for name, names in columns.items() if name != "attributes"}
        draft.table("items", feed, columns={**single, "attributes": list(columns.get("attributes", ()))})
    return draft


def ga4(files: Files) -> Draft:
    """Events of Google Analytics 4 as BigQuery exports them, as JSON or parquet."""
    draft = Draft()
    events = files.take("event_name", "user_pseudo_id", "items")
    if not events:
        return draft
    first = events[0]
    kinds = ["view_item", "select_item", "add_to_wishlist", "add_to_cart", "begin_checkout", "purchase"]
    levels = ["items.item_category", *(f"items.item_category{n}" for n in range(2, 6))]
    shared = {"explode": "items", "keep": {"event_name": kinds}}
    draft.table(
        "items",
        events,
        **shared,
        columns={
            "item_id": "items.item_id",
            "title": "items.item_name",
            "categories": [n for n in levels if first.has(n)],
            "brand": "items.item_brand" if first.has("items.item_brand") else None,
            "price": "items.price" if first.has("items.price") else None,
        },
    )
    draft.table(
        "events",
        events,
        **shared,
        columns={
            "item_id": "items.item_id",
            "user_id": "user_pseudo_id",
            "time": "event_timestamp",
            "kind": "event_name",
            "basket_id": first.first_of("ecommerce.transaction_id"),
            "quantity": "items.quantity" if first.has("items.quantity") else None,
        },
    )
    draft.remarks.append("The items are those that the events name; each one's first event counts.")
    return draft
