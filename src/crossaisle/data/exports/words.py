"""What columns are called in exports, in letters and digits only, the likeliest first."""

from __future__ import annotations

import re

from crossaisle.data.exports.files import Table

USER = """userid user visitorid customerid customeruniqueid customer customerno customernumber kundennummer
    kundennr kunde kundenid clientid client memberid member reviewerid buyerid buyer accountid uid
    userpseudoid email customeremail sessionid session"""
ITEM = """itemid item productid product sku lineitemsku variantsku productsku articleid article articleno
    artikelnummer artikelnr artikelid artikel stockcode asin parentasin movieid bookid isbn ean gtin upc
    materialnumber skuid goodsid goods variantid"""
BASKET = """basketid basket orderid orderno ordernumber order invoiceno invoice invoiceid bestellnummer
    bestellnr bestellid auftragsnummer transactionid transaction receiptid receipt cartid bonnummer
    ticketid"""
TIME = """time timestamp datetime eventtime eventtimestamp createdat orderedat purchasedat orderdate
    purchasedate invoicedate transactiondate reviewdate unixreviewtime orderpurchasetimestamp
    bestelldatum bestelltam datum zeit zeitpunkt date ts tdat created viewedat"""
_WORDS: dict[Table, dict[str, str]] = {
    "events": {
        "item_id": ITEM,
        "user_id": USER,
        "basket_id": BASKET,
        "time": TIME,
        "kind": "kind eventtype eventname event behaviortype behavior action type",
        "value": "value rating overall score stars",
        "quantity": "quantity qty qtyordered menge anzahl units lineitemquantity",
    },
    "items": {
        "item_id": f"{ITEM} id",
        "title": """title titel name productname itemname producttitle bezeichnung artikelname prodname
            productdisplayname displayname""",
        "description": "description beschreibung detaildesc longdescription bodyhtml text",
        "categories": """categories category categorypath producttype googleproductcategory productcategory
            warengruppe kategorie kategorien categoryname genres department productgroupname
            mastercategory maincategory types""",
        "brand": "brand vendor manufacturer marke hersteller brandname",
        "price": "price preis unitprice saleprice regularprice listprice verkaufspreis regulärerpreis",
        "currency": "currency currencycode pricecurrency currencyiso währung waehrung devise moneda valuta",
        "image": "image imagelink imageurl imgurl imagesrc bild picture images bilder",
        "url": "url link productlink producturl itemurl permalink",
        "in_stock": "instock isinstock availability stock stockqty lagernd vorrätig bestand inventory qty",
        "available_from": "availablefrom availabilitydate releasedate",
        "expires": "expires expirationdate validuntil",
        "group_id": "groupid itemgroupid productgroupid variantgroupid parentsku gruppe artikelgruppe",
    },
    "users": {
        "user_id": f"{USER} id",
    },
}
COLUMNS = {
    table: {column: tuple(names.split()) for column, names in columns.items()}
    for table, columns in _WORDS.items()
}
"""Table -> canonical column -> names that it has in exports."""
BEGINNINGS = {"user_id": ("customer", "user", "kunde", "client", "buyer"), "time": ("date", "time")}
"""How names begin that are taken where no other fits."""


def compared(name: str) -> str:
    """A column's name as it is compared: lower case, letters and digits only, without a type behind `:`."""
    return re.sub(r"[^a-z0-9äöüß]", "", name.split(":")[0].lower())
