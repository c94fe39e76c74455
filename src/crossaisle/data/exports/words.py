"""What columns are called in exports, in letters and digits only, the likeliest first."""

from __future__ import annotations

import unicodedata

from crossaisle.data.exports.files import Table

USER = """userid user visitorid customerid customeruniqueid customer customerno customernumber kundennummer
    kundennr kdnr kunde kundenid clientid client memberid member reviewerid buyerid buyer accountid uid
    userpseudoid email customeremail clienteid cliente idcliente codigocliente numeroclient codeclient
    idclient codicecliente klantnummer klantid klant sessionid session"""
ITEM = """itemid item productid product sku lineitemsku variantsku productsku articleid article articleno
    artikelnummer artikelnr artnr artikelid artikel stockcode asin parentasin movieid bookid isbn ean gtin upc
    materialnumber skuid goodsid goods variantid reference referenceproduit codeproduit idproduit produit
    referencia codigoproducto idproducto producto codigo codicearticolo codiceprodotto articolo prodotto
    productnummer productcode productnr"""
BASKET = """basketid basket orderid orderno ordernumber order invoiceno invoice invoiceid bestellnummer
    bestellnr bestellid auftragsnummer auftragsnr rechnungsnummer rechnungsnr belegnummer belegnr
    transactionid transaction receiptid receipt receiptno cartid bonnummer bonnr ticketid numerocommande
    ncommande nocommande commande numerofacture nfacture facture pedido numeropedido idpedido factura
    numerofactura ordine numeroordine fattura ordernummer bestelnummer factuurnummer"""
VISIT = """sessionid session gasessionid visitid visit visitorid clientid userpseudoid anonymousid anonymous
    cartid basketid"""
TIME = """time timestamp datetime eventtime eventtimestamp eventdate eventdatetime eventat occurredat
    happenedat createdat orderedat placedat purchasedat orderdate purchasedate saledate invoicedate
    transactiondate reviewdate unixreviewtime orderpurchasetimestamp bestelldatum bestelltam belegdatum
    rechnungsdatum kaufdatum verkaufsdatum datum zeit zeitpunkt zeitstempel date ts tdat created viewedat
    fecha fechapedido datecommande datefacture dataordine data besteldatum"""
_WORDS: dict[Table, dict[str, str]] = {
    "events": {
        "item_id": ITEM,
        "user_id": USER,
        "basket_id": BASKET,
        "time": TIME,
        "kind": "kind eventtype eventname event behaviortype behavior action type",
        "value": "value rating overall score stars",
        "quantity": """quantity qty qtyordered menge anzahl stueck units lineitemquantity quantite qte
            cantidad quantita aantal""",
    },
    "items": {
        "item_id": f"{ITEM} id",
        "title": """title titel name productname itemname producttitle bezeichnung artikelbezeichnung
            artikelname produktname prodname productdisplayname displayname nomproduit nom
            designation libelle intitule nombre nombreproducto titulo nome titolo productnaam naam""",
        "description": """description beschreibung detaildesc longdescription bodyhtml text descripcion
            descrizione omschrijving""",
        "categories": """categories category categorypath producttype googleproductcategory productcategory
            warengruppe kategorie kategorien categoryname genres department productgroupname
            mastercategory maincategory types categorie rayon famille categoria rubrique reparto""",
        "brand": "brand vendor manufacturer marke hersteller brandname marque marca merk fabricant",
        "price": """price preis unitprice saleprice regularprice listprice verkaufspreis vkpreis einzelpreis
            regulärerpreis prix prixunitaire prixttc precio pvp prezzo prijs""",
        "currency": "currency currencycode pricecurrency currencyiso währung waehrung devise moneda valuta",
        "image": "image imagelink imageurl imgurl imagesrc bild picture images bilder",
        "url": "url link productlink producturl itemurl permalink",
        "in_stock": """instock isinstock availability stock stockqty lagernd vorrätig bestand lagerbestand
            inventory disponibilite disponible existencias giacenza voorraad qty""",
        "available_from": "availablefrom availabilitydate releasedate",
        "expires": "expires expirationdate validuntil",
        "group_id": "groupid itemgroupid productgroupid variantgroupid parentsku gruppe artikelgruppe",
    },
    "users": {
        "user_id": f"{USER} id",
    },
}


def compared(name: str) -> str:
    """A column's name as it is compared: lower case, letters and digits only, without accents and without a
    type behind `:`.
    """
    letters = unicodedata.normalize("NFKD", name.split(":")[0].lower().replace("ß", "ss"))
    return "".join(letter for letter in letters if letter.isalnum())


COLUMNS = {
    table: {column: tuple(map(compared, names.split())) for column, names in columns.items()}
    for table, columns in _WORDS.items()
}
"""Table -> canonical column -> names that it has in exports."""
VISITS = tuple(VISIT.split())
"""Names of columns that tell guests apart, the likeliest first."""
BEGINNINGS = {
    "user_id": ("customer", "user", "kunde", "client", "buyer"),
    "time": ("date", "time"),
    "price": ("price", "preis", "vkpreis", "verkaufspreis", "prix", "precio", "prezzo"),
}
"""How names begin that are taken where no other fits."""
