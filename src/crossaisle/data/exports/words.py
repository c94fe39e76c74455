"""Names of columns in exports, as letters and digits only, most likely first.

English and German, then French, Spanish, Italian, Dutch, Portuguese and Chinese.
"""

from __future__ import annotations

import unicodedata

from crossaisle.data.exports.files import Table

USER = """userid user visitorid customerid customeruniqueid customer customerno customernumber kundennummer
    kundennr kunde kundenid clientid client memberid member reviewerid buyerid buyer accountid uid
    userpseudoid email customeremail sessionid session numeroclient codeclient cliente idcliente
    codigocliente codicecliente klant klantnummer 用户 用户id 用户编号 会员 会员号 会员编号 顾客 客户 买家"""
ITEM = """itemid item productid product sku lineitemsku variantsku productsku articleid article articleno
    artikelnummer artikelnr artikelid artikel stockcode asin parentasin movieid bookid isbn ean gtin upc
    materialnumber skuid goodsid goods variantid codearticle refarticle reference ref produit articulo
    codigoarticulo codigoproducto producto articolo codicearticolo codiceprodotto prodotto artikelcode
    codigoproduto produto 商品 商品id 商品编号 商品编码 货号 产品编号"""
BASKET = """basketid basket orderid orderno ordernumber order invoiceno invoice invoiceid bestellnummer
    bestellnr bestellid auftragsnummer transactionid transaction receiptid receipt cartid bonnummer
    ticketid rechnungsnummer rechnungsnr rechnung belegnummer belegnr
    numerocommande commande numerofacture facture ticket numeropedido pedido numerofactura factura
    numeroordine ordine fattura scontrino bestelnummer factuurnummer 订单 订单号 订单编号 小票号"""
TIME = """time timestamp datetime eventtime eventtimestamp createdat orderedat purchasedat orderdate
    purchasedate invoicedate transactiondate reviewdate unixreviewtime orderpurchasetimestamp
    bestelldatum bestelltam datum zeit zeitpunkt date ts tdat created viewedat rechnungsdatum
    datecommande datefacture dateachat fechapedido fechacompra fecha dataordine dataacquisto besteldatum
    时间 日期 下单时间 购买时间 交易时间"""
_WORDS: dict[Table, dict[str, str]] = {
    "events": {
        "item_id": ITEM,
        "user_id": USER,
        "basket_id": BASKET,
        "time": TIME,
        "kind": """kind eventtype eventname event behaviortype behavior action type ereignis evento
            行为 行为类型 事件""",
        "value": "value rating overall score stars bewertung note 评分",
        "quantity": """quantity qty qtyordered menge anzahl units lineitemquantity quantite qte cantidad
            quantita aantal quantidade 数量 件数""",
    },
    "items": {
        "item_id": f"{ITEM} id",
        "title": """title titel name productname itemname producttitle bezeichnung artikelname prodname
            productdisplayname displayname libelle designation nomproduit nom nombreproducto nombre titulo
            nomeprodotto nome titolo productnaam naam 商品名称 商品名 产品名称 名称 标题 品名""",
        "description": """description beschreibung detaildesc longdescription bodyhtml text descripcion
            descrizione omschrijving descricao 描述 商品描述""",
        "categories": """categories category categorypath producttype googleproductcategory productcategory
            warengruppe kategorie kategorien categoryname genres department productgroupname
            mastercategory maincategory types categorie rayon famille categoria familia seccion reparto
            productgroep 类目 分类 类别 品类 商品类别""",
        "brand": "brand vendor manufacturer marke hersteller brandname marque marca merk 品牌",
        "price": """price preis unitprice saleprice regularprice listprice verkaufspreis regularerpreis prix
            prixttc prixunitaire precio pvp prezzo prijs preco 价格 单价 售价""",
        "currency": """currency currencycode pricecurrency currencyiso wahrung waehrung devise moneda valuta
            moeda 币种 货币""",
        "image": """image imagelink imageurl imgurl imagesrc bild picture images bilder imagen immagine
            afbeelding photo foto 图片""",
        "url": "url link productlink producturl itemurl permalink lien enlace 链接",
        "in_stock": """instock isinstock availability stock stockqty lagernd vorratig bestand inventory qty
            enstock disponibilite existencias giacenza voorraad 库存""",
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
"""Table -> canonical column -> its names in exports."""
BEGINNINGS = {"user_id": ("customer", "user", "kunde", "client", "buyer"), "time": ("date", "time")}
"""Prefixes of column names that are used if no full name matches."""


def compared(name: str) -> str:
    """A column name normalized for comparison: letters and digits, lower case, no accents, no type after
    `:`."""
    plain = unicodedata.normalize("NFKD", name.split(":")[0].casefold().replace("ß", "ss"))
    return "".join(sign for sign in plain if sign.isalnum())
