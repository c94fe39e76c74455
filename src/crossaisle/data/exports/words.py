"""Names of columns in exports, as letters and digits only, most likely first.

English and German, then French, Spanish, Italian, Dutch, Portuguese and Chinese.
"""

from __future__ import annotations

import unicodedata

from crossaisle.data.exports.files import Table

USER = """userid user visitorid customerid customeruniqueid customer customerno customernumber kundennummer
    kundennr kdnr kunde kundenid clientid client memberid member reviewerid buyerid buyer accountid uid
    userpseudoid email customeremail clienteid cliente idcliente codigocliente numeroclient codeclient
    idclient codicecliente klantnummer klantid klant 用户 用户id 用户编号 会员 会员号 会员编号 顾客 客户 买家
    sessionid session"""
ITEM = """itemid item productid product sku lineitemsku variantsku productsku articleid article articleno
    artikelnummer artikelnr artnr artikelid artikel stockcode asin parentasin movieid bookid isbn ean
    gtin upc materialnumber skuid goodsid goods variantid reference referenceproduit codeproduit
    idproduit produit referencia codigoproducto idproducto producto codigo codicearticolo codiceprodotto
    articolo prodotto productnummer productcode productnr codearticle refarticle ref articulo
    codigoarticulo artikelcode codigoproduto produto 商品 商品id 商品编号 商品编码 货号 产品编号"""
BASKET = """basketid basket orderid orderno ordernumber order invoiceno invoice invoiceid bestellnummer
    bestellnr bestellid auftragsnummer auftragsnr rechnungsnummer rechnungsnr belegnummer belegnr
    transactionid transaction receiptid receipt receiptno cartid bonnummer bonnr ticketid numerocommande
    ncommande nocommande commande numerofacture nfacture facture pedido numeropedido idpedido factura
    numerofactura ordine numeroordine fattura ordernummer bestelnummer factuurnummer rechnung ticket
    scontrino 订单 订单号 订单编号 小票号"""
VISIT = """sessionid session gasessionid visitid visit visitorid clientid userpseudoid anonymousid anonymous
    cartid basketid"""
TIME = """time timestamp datetime eventtime eventtimestamp eventdate eventdatetime eventat occurredat
    happenedat createdat orderedat placedat purchasedat orderdate purchasedate saledate invoicedate
    transactiondate reviewdate unixreviewtime orderpurchasetimestamp bestelldatum bestelltam belegdatum
    rechnungsdatum kaufdatum verkaufsdatum datum zeit zeitpunkt zeitstempel date ts tdat created
    viewedat fecha fechapedido datecommande datefacture dataordine data besteldatum dateachat
    fechacompra dataacquisto 时间 日期 下单时间 购买时间 交易时间"""
_WORDS: dict[Table, dict[str, str]] = {
    "events": {
        "item_id": ITEM,
        "user_id": USER,
        "basket_id": BASKET,
        "time": TIME,
        "kind": """kind eventtype eventname event behaviortype behavior action type ereignis evento 行为
            行为类型 事件""",
        "value": "value rating overall score stars bewertung note 评分",
        "quantity": """quantity qty qtyordered menge anzahl stueck units lineitemquantity quantite qte
            cantidad quantita aantal quantidade 数量 件数""",
    },
    "items": {
        "item_id": f"{ITEM} id",
        "title": """title titel name productname itemname producttitle bezeichnung artikelbezeichnung
            artikelname produktname prodname productdisplayname displayname nomproduit nom designation
            libelle intitule nombre nombreproducto titulo nome titolo productnaam naam nomeprodotto 商品名称
            商品名 产品名称 名称 标题 品名""",
        "description": """description beschreibung detaildesc longdescription bodyhtml text descripcion
            descrizione omschrijving descricao 描述 商品描述""",
        "categories": """categories category categorypath producttype googleproductcategory productcategory
            warengruppe kategorie kategorien categoryname genres department productgroupname
            mastercategory maincategory types categorie rayon famille categoria rubrique reparto familia
            seccion productgroep 类目 分类 类别 品类 商品类别""",
        "brand": "brand vendor manufacturer marke hersteller brandname marque marca merk fabricant 品牌",
        "price": """price preis unitprice saleprice regularprice listprice verkaufspreis vkpreis einzelpreis
            regulärerpreis prix prixunitaire prixttc precio pvp prezzo prijs preco 价格 单价 售价""",
        "currency": """currency currencycode pricecurrency currencyiso währung waehrung devise moneda valuta
            moeda 币种 货币""",
        "image": """image imagelink imageurl imgurl imagesrc bild picture images bilder imagen immagine
            afbeelding photo foto 图片""",
        "url": "url link productlink producturl itemurl permalink lien enlace 链接",
        "in_stock": """instock isinstock availability stock stockqty lagernd vorrätig bestand lagerbestand
            inventory disponibilite disponible existencias giacenza voorraad qty enstock 库存""",
        "available_from": "availablefrom availabilitydate releasedate",
        "expires": "expires expirationdate validuntil",
        "group_id": "groupid itemgroupid productgroupid variantgroupid parentsku gruppe artikelgruppe",
    },
    "users": {
        "user_id": f"{USER} id",
    },
}


def compared(name: str) -> str:
    """A column name normalized for comparison: letters and digits, lower case, no accents, no type after
    `:`."""
    letters = unicodedata.normalize("NFKD", name.split(":")[0].lower().replace("ß", "ss"))
    return "".join(letter for letter in letters if letter.isalnum())


COLUMNS = {
    table: {column: tuple(map(compared, names.split())) for column, names in columns.items()}
    for table, columns in _WORDS.items()
}
"""Table -> canonical column -> its names in exports."""
VISITS = tuple(VISIT.split())
"""Names of columns that identify guests, the most likely first."""
BEGINNINGS = {
    "user_id": ("customer", "user", "kunde", "client", "buyer"),
    "time": ("date", "time"),
    "price": ("price", "preis", "vkpreis", "verkaufspreis", "prix", "precio", "prezzo"),
}
"""Prefixes of column names that are used if no full name matches."""
