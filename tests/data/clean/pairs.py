"""60 categories of three shops and where a person would put each in another shop's tree.

Shops: the Beauty and the Toys part of amazon14, and the fashion products. A target stands for itself and
what is below it; none at all means that the other shop has nothing of the kind.
"""

from __future__ import annotations

Pair = tuple[str, str, str, tuple[str, ...]]
"""Shop, category, other shop, right categories there."""

_CARE = "Personal Care > "
_TO_FASHION: dict[str, tuple[str, ...]] = {
    "Makeup > Lips > Lipstick": (_CARE + "Lips > Lipstick",),
    "Makeup > Lips > Lip Glosses": (_CARE + "Lips > Lip Gloss",),
    "Makeup > Lips > Lip Liners": (_CARE + "Lips > Lip Liner",),
    "Makeup > Eyes > Mascara": (_CARE + "Eyes > Mascara",),
    "Makeup > Eyes > Eyeliner": (_CARE + "Eyes > Kajal and Eyeliner", _CARE + "Makeup > Kajal and Eyeliner"),
    "Makeup > Eyes > Eye Shadow": (_CARE + "Makeup > Eyeshadow",),
    "Makeup > Face > Foundation": (_CARE + "Makeup > Foundation and Primer",),
    "Makeup > Face > Foundation Primers": (_CARE + "Makeup > Foundation and Primer",),
    "Makeup > Face > Concealers & Neutralizers": (_CARE + "Makeup > Concealer",),
    "Makeup > Face > Blush": (_CARE + "Makeup > Highlighter and Blush",),
    "Makeup > Face > Bronzers & Highlighters": (_CARE + "Makeup > Highlighter and Blush",),
    "Makeup > Face > Powder": (_CARE + "Makeup > Compact",),
    "Makeup > Nails > Nail Polish": (_CARE + "Nails > Nail Polish",),
    "Makeup > Nails > Nail Polish Remover": (_CARE + "Bath and Body > Nail Essentials", _CARE + "Nails"),
    "Makeup > Makeup Remover > Eyes": (_CARE + "Makeup > Makeup Remover",),
    "Fragrance > Women's > Eau de Parfum": (_CARE + "Fragrance > Perfume and Body Mist",),
    "Fragrance > Women's > Body Sprays": (
        _CARE + "Fragrance > Perfume and Body Mist",
        _CARE + "Fragrance > Deodorant",
    ),
    "Fragrance > Men's > Cologne": (_CARE + "Fragrance > Perfume and Body Mist",),
    "Hair Care > Hair Color > Chemical Hair Dyes": (_CARE + "Hair > Hair Colour",),
    "Hair Care > Styling Tools > Styling Accessories > Headbands": (
        "Accessories > Headwear > Headband",
        "Accessories > Accessories > Hair Accessory",
    ),
    "Hair Care > Styling Tools > Styling Accessories > Hair Pins": (
        "Accessories > Accessories > Hair Accessory",
    ),
    "Skin Care > Face > Toners & Astringents": (_CARE + "Skin Care > Toner",),
    "Skin Care > Sun > Skin Protection": (_CARE + "Skin Care > Sunscreen",),
    "Skin Care > Face > Sunscreens & Self Tanners > Sunscreens": (_CARE + "Skin Care > Sunscreen",),
    "Skin Care > Eyes > Creams": (_CARE + "Skin Care > Eye Cream",),
    "Skin Care > Face > Cleansers": (_CARE + "Skin Care > Face Wash and Cleanser",),
    "Skin Care > Face > Exfoliators & Scrubs > Scrubs": (
        _CARE + "Skin Care > Face Scrub and Exfoliator",
        _CARE + "Skin > Face Scrub and Exfoliator",
    ),
    "Skin Care > Face > Treatments & Masks > Masks": (
        _CARE + "Skin > Mask and Peel",
        _CARE + "Skin Care > Mask and Peel",
    ),
    "Skin Care > Face > Oils & Serums": (_CARE + "Skin > Face Serum and Gel",),
    "Skin Care > Face > Creams & Moisturizers": (_CARE + "Skin > Face Moisturisers",),
    "Skin Care > Body > Moisturizers > Lotions": (
        _CARE + "Bath and Body > Body Lotion",
        _CARE + "Skin > Body Lotion",
    ),
    "Bath & Body > Cleansers > Body Washes": (_CARE + "Bath and Body > Body Wash and Scrub",),
    "Bath & Body > Scrubs & Body Treatments > Body Scrubs": (_CARE + "Bath and Body > Body Wash and Scrub",),
    "Tools & Accessories > Nail Tools > Nail Files & Buffers": (_CARE + "Bath and Body > Nail Essentials",),
    "Tools & Accessories > Makeup Brushes & Tools > Brushes & Applicators": (_CARE + "Beauty Accessories",),
    "Tools & Accessories > Bags & Cases > Cosmetic Bags": (
        "Accessories > Bags",
        _CARE + "Beauty Accessories",
    ),
    "Hair Care > Shampoos": (),
    "Hair Care > Conditioners": (),
    "Hair Care > Styling Tools > Hair Dryers": (),
    "Hair Care > Styling Products > Hair Extensions & Wigs > Wigs": (),
}
_FASHION_TO_BEAUTY: dict[str, tuple[str, ...]] = {
    _CARE + "Nails > Nail Polish": ("Makeup > Nails > Nail Polish",),
    _CARE + "Skin Care > Sunscreen": ("Skin Care > Sun", "Skin Care > Face > Sunscreens & Self Tanners"),
    _CARE + "Eyes > Mascara": ("Makeup > Eyes > Mascara",),
    _CARE + "Makeup > Compact": ("Makeup > Face > Powder",),
    _CARE + "Hair > Hair Colour": ("Hair Care > Hair Color",),
    _CARE + "Skin > Face Moisturisers": ("Skin Care > Face > Creams & Moisturizers",),
    _CARE + "Skin Care > Face Wash and Cleanser": ("Skin Care > Face > Cleansers",),
    "Footwear > Shoes > Casual Shoes": (),
    "Apparel > Topwear > Tshirts": (),
    "Accessories > Watches > Watches": (),
    "Apparel > Bottomwear > Jeans": (),
}
_WITH_TOYS: list[Pair] = [
    ("toys", "Dress Up & Pretend Play > toyattr391 > toyattr392", "fashion", ("Accessories > Jewellery",)),
    ("toys", "Building Toys > toyattr62", "fashion", ()),
    ("toys", "Puzzles > toyattr200", "fashion", ()),
    ("toys", "Stuffed Animals & Plush > toyattr15", "beauty", ()),
    ("toys", "Toy Remote Control & Play Vehicles > toyattr13", "beauty", ()),
    ("beauty", "Makeup > Face > Foundation", "toys", ()),
    ("beauty", "Hair Care > Shampoos", "toys", ()),
    ("fashion", "Sporting Goods > Sports Equipment > Basketballs", "toys", ("Sports & Outdoor Play",)),
    ("fashion", "Sporting Goods > Sports Equipment > Footballs", "toys", ("Sports & Outdoor Play",)),
]
PAIRS: list[Pair] = [
    *(("beauty", category, "fashion", right) for category, right in _TO_FASHION.items()),
    *(("fashion", category, "beauty", right) for category, right in _FASHION_TO_BEAUTY.items()),
    *_WITH_TOYS,
]
