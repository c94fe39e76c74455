// Pictures for products without one: a sign of the kind of product, on the colour of its aisle.

import { svg } from "../lib/dom.js";

// Strokes on a field of 24 by 24.
const SHAPES = {
  apple: "M12 7c-2-2-7-1.5-7 4.500C5 16 8 20 10 20c1 0 1.3-.5 2-.5s1 .5 2 .5c2 0 5-4 5-8.500C19 5.5 14 5 12 7Zm0 0c0-2 1-3.5 3-4",
  carrot: "M4 20c1-5 4-10 8-12l4 4c-2 4-7 7-12 8Zm9-12 2-4m0 5 5-2m-4 0 3-3M8 14l2 2m1-5 2 2",
  milk: "M9 3h6v3l2 4v10a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1V10l2-4V3Zm0 3h6M7 13h10",
  cheese: "M3 14 15 5c4 0 6 4 6 9H3Zm0 0v5h18v-5M8 17h.01M13 11h.01M17 17h.01",
  egg: "M12 3c3.5 0 6.5 6 6.5 10.500a6.5 6.5 0 0 1-13 0C5.5 9 8.5 3 12 3Z",
  bread: "M5 10a3.5 3.5 0 0 1 1-7h12a3.5 3.5 0 0 1 1 7v9a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1v-9Zm5-3v2m4-2v2",
  cake: "M4 20h16v-6a3 3 0 0 0-3-3H7a3 3 0 0 0-3 3v6Zm0-4c2 2 3-1 5.3 0s3.3 1 5.4 0 3.3-1 5.3 0M12 11V7m0-2v-.5",
  meat: "M14 4c4 0 7 3 6 7-1 3-4 3-6 5s-3 3-6 3-5-2-4-5 4-3 5-5 2-5 5-5Zm1 5a1.5 1.5 0 1 0 .01 0M6.5 16 4 18.5",
  fish: "M3 12c3-5 9-6 13-3l4-3v12l-4-3c-4 3-10 2-13-3Zm5-1h.01",
  snow: "M12 3v18M4.2 7.500l15.6 9M4.2 16.500l15.6-9M12 6l2-2m-2 2-2-2m2 14 2 2m-2-2-2 2",
  can: "M6 6c0-1.7 2.7-3 6-3s6 1.3 6 3v12c0 1.7-2.7 3-6 3s-6-1.3-6-3V6Zm0 0c0 1.7 2.7 3 6 3s6-1.3 6-3M6 12.500c0 1.7 2.7 3 6 3s6-1.3 6-3",
  bowl: "M3 11h18a9 9 0 0 1-5 8H8a9 9 0 0 1-5-8Zm5-3c0-2 2-2 2-4m3 4c0-2 2-2 2-4",
  jar: "M8 3h8v3H8V3Zm0 3c-2 1-2 2.5-2 4v9a2 2 0 0 0 2 2h8a2 2 0 0 0 2-2v-9c0-1.5 0-3-2-4M6 12h12M6 17h12",
  cookie: "M12 3a9 9 0 1 0 9 9 4 4 0 0 1-4.5-4.500A4 4 0 0 1 12 3ZM9 9h.01M8 14h.01M13 13h.01M13 17h.01M16.5 14.500h.01",
  candy: "M8.5 8.500a5 5 0 1 1 7 7 5 5 0 0 1-7-7Zm0 0L4 8l2-4 3 2m6.5 9.500L20 16l-2 4-3-2M9 15l6-6",
  cup: "M6 8h12l-1.5 13h-9L6 8Zm-1 0h14m-7 0 1-5h3M7 13h10",
  coffee: "M4 9h13v6a5 5 0 0 1-5 5H9a5 5 0 0 1-5-5V9Zm13 1h2a2.5 2.5 0 0 1 0 5h-2M8 6c0-1.5 1-1.5 1-3m3 3c0-1.5 1-1.5 1-3",
  glass: "M7 3h10l-.5 6a4.5 4.5 0 0 1-9 0L7 3Zm5 10.500V21m-4 0h8M7.3 8h9.4",
  baby: "M9 3h6l-1 4h-4L9 3Zm-1 7c0-2 1-3 2-3h4c1 0 2 1 2 3v9a2 2 0 0 1-2 2h-4a2 2 0 0 1-2-2v-9Zm0 2h3m-3 4h3",
  paw: "M12 12c2.5 0 5 3 5 5.5 0 1.7-1.2 2.5-2.5 2.5-1 0-1.5-.5-2.5-.5s-1.5.5-2.5.5C8.2 20 7 19.2 7 17.5 7 15 9.5 12 12 12ZM6 9v1m12-1v1M10 5v1.500M14 5v1.5",
  pill: "M4.5 13.500a4.2 4.2 0 0 1 0-6l3-3a4.2 4.2 0 0 1 6 0l6 6a4.2 4.2 0 0 1 0 6l-3 3a4.2 4.2 0 0 1-6 0l-6-6Zm3.5-.5 5-5",
  pump: "M8 11h8a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H8a2 2 0 0 1-2-2v-6a2 2 0 0 1 2-2Zm2 0V8h4v3m-2-3V4m0 0h4a2 2 0 0 1 2 2M9 16h6",
  roll: "M7 4c2.2 0 4 2.2 4 5s-1.8 5-4 5-4-2.2-4-5 1.8-5 4-5Zm0 0h10c2.2 0 4 2.2 4 5v11H11V9M7 8.500h.01",
  spray: "M9 10h6l1 3v7a1 1 0 0 1-1 1H9a1 1 0 0 1-1-1v-7l1-3Zm0 0V7h5v3M9 7c-1-2 0-4 2-4h6v2l-3 2M19 3h1m-1 2.5 1 .5M8 15h8",
  flower: "M12 12a2.5 2.5 0 1 0-.01 0Zm0-5c-2-4 3.5-5 3.5-1.5 3.5-.5 3.5 4 0 4.5 1 4-4 4-3.5 2-.5 2-5 2-3.5-2-3.5-.5-3.5-5 0-4.500C8.5 2 14 3 12 7Zm0 5v9m0-3c2 0 3-1 4-3",
  shirt: "M8 4 3 7l2 4 2-1v10h10V10l2 1 2-4-5-3c-1 3-7 3-8 0Z",
  book: "M12 6c-2-2-5-2-8-2v14c3 0 6 0 8 2 2-2 5-2 8-2V4c-3 0-6 0-8 2Zm0 0v14",
  ball: "M12 3a9 9 0 1 0 .01 0ZM12 3c-3 4-3 14 0 18m0-18c3 4 3 14 0 18M3 12h18",
  device: "M4 5h16a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1Zm5 15h6m-3-4v4",
  tool: "M14 7a4.5 4.5 0 0 1 6-2l-3 3 1 2 2 1 1-1a4.5 4.5 0 0 1-6 4L8 21l-4-4 8-7a4.5 4.5 0 0 1 2-3Z",
  pot: "M5 10h14v7a3 3 0 0 1-3 3H8a3 3 0 0 1-3-3v-7Zm-2 0h18M9 7c0-1.5 1-1.5 1-3m4 3c0-1.5 1-1.5 1-3M3 13h2m14 0h2",
  tag: "M4 4h8l9 9-8 8-9-9V4Zm4.5 4.500h.01",
  cart: "M3 4h2l2.5 11h10L20 7H6m3 13h.01M16 20h.01",
  plus: "M12 5v14M5 12h14",
};

// Which words of a title or a category mean which sign, and the colour (a hue) that its kind has.
const KINDS = [
  ["bread", 65, /\bbuns?\b/i],
  ["jar", 30, /\bsauces?\b|酱/i],
  ["carrot", 115, /\bcarrots?\b/i],
  ["baby", 350, /\b(baby|infant|diaper|napp(y|ies)|toddler)|婴|尿/i],
  ["paw", 40, /\b(pet|(?<!hot )dogs?|cats?|kitten|pupp|aquarium|bird seed)\b|宠物|猫|狗/i],
  ["snow", 230, /\b(frozen|frzn|ice cream|ice)\b|冷冻|冰/i],
  ["egg", 80, /\beggs?\b|鸡蛋/i],
  ["cheese", 75, /chees|奶酪/i],
  ["milk", 245, /\b(milk|yogurt|yoghurt|cream|dairy|butter|margarin|creamer)|奶/i],
  ["coffee", 50, /coffee|espresso|\btea\b|cocoa|咖啡|茶/i],
  ["glass", 330, /\b(wine|beers?|beeralemalt|liquor|ale|spirits|vodka|whisk|champagne|cocktail)|酒/i],
  ["cup", 200, /\b(soft drinks?|sft drnk|drinks?|juices?|water|soda|beverages?|isotonic|lemonade|tonic)\b|饮料|果汁|水$/i],
  ["fish", 215, /fish|seafood|shrimp|salmon|\btuna|crab|lobster|鱼|虾/i],
  ["meat", 20, /\b(meat|beef|pork|chicken|turkey|ham|bacon|sausage|hot ?dogs?|frank|lunch ?meat|poultry|steak|ribs?|deli|lamb|veal|loin)|肉|鸡/i],
  ["cake", 345, /\b(cakes?|pies?|donuts?|pastr|muffins?|cupcake|baking|frosting|flour|sweet goods|brownie|dessert|pudding)|蛋糕|甜点/i],
  ["bread", 65, /\b(bread|buns?|rolls|bagels?|tortilla|baguette|dough|bakery|biscuits?|toast|english muffin)|面包/i],
  ["apple", 135, /\b(fruit|apples?|bananas?|\w*berr(y|ies)|grapes?|melons?|cantaloupe|citrus|oranges?|lemons?|peach\w*|pears?|kiwi|mango|avocado)|水果|苹果|莓/i],
  ["candy", 340, /\bcand(y|ies)\b/i],
  ["cookie", 55, /\b(cookies?|crackers?|snacks?|chips?|popcorn|pretzels?|nuts?|peanuts|granola|bars)\b|饼干|零食|坚果/i],
  ["candy", 340, /\b(chocolate|gum|sweets\b|sugar|syrup)|糖|巧克力/i],
  ["bowl", 60, /\b(pasta|noodles?|rice|cereals?|oat\w*|breakfast|macaroni|dinners?|grains?|beans?|spaghetti|soups?)|面|米|麦片|汤/i],
  ["jar", 30, /\b(sauces?|condiment|dressing|oil|vinegar|ketchup|mustard|mayo\w*|spices?|seasoning|salsa|jams?|jelly|honey|pickle|preserve|peanut butter|spread)|酱|油|醋|蜂蜜/i],
  ["can", 25, /\b(cann?ed|can|shelf stable)\b|罐头/i],
  ["carrot", 115, /\b(vegetables?|produce|salads?|potato\w*|onions?|peppers?|tomato\w*|lettuce|carrots?|mushrooms?|herbs?|broccoli|celery|corn|squash|cabbage|cucumber)|蔬|菜/i],
  ["pill", 190, /\b(vitamin|medicin|health|pain|cold|cough|pharm|first aid|antacid|supplement|allergy|diet)|药|健康/i],
  ["roll", 270, /\b(tissues?|paper|towels?|napkins?|foil|wrap|bags?|cups\/plates)\b|纸/i],
  ["spray", 180, /\b(laundry|deterg\w*|clean\w*|bleach|dish(wash\w*| (soap|liquid|deterg\w*))|household|softener|air care)|清洁|洗衣/i],
  ["pump", 300, /\b(soaps?|shampoo|hair|skin|cosmetic\w*|deodorant|oral|tooth\w*|makeup|shav\w*|beauty|lotion|fragrance|hygiene|feminine|bath|sun\w*|nail)|洗发|护肤|美妆|牙/i],
  ["flower", 0, /\b(floral|flowers?|plants?|garden|seeds?|bouquet|roses?)\b|花|植物/i],
  ["shirt", 260, /\b(cloth\w*|apparel|shirts?|shoes?|dress(es)?|hosiery|fashion|jackets?|jeans|socks?|trousers|bags)\b|衣|鞋|裙/i],
  ["ball", 145, /\b(toys?|games?|sports?|fitness|outdoor|bike)\b|玩具|运动/i],
  ["book", 285, /\b(books?|magazines?|cards?|stationery|office|school|newspapers?|greeting|pens?)\b|书|文具/i],
  ["device", 255, /\b(electronic\w*|phones?|camera|video|audio|computers?|laptop|batter(y|ies)|tv|headphone)|电/i],
  ["tool", 45, /\b(hardware|automotive|tools?|motor|light bulbs?|paint|car)\b|工具|汽车/i],
  ["pot", 95, /\b(kitchen|cookware|home|furniture|candles?|housewares|glassware|charcoal|grill\w*|party)\b|厨|家居/i],
];

export const icon = name => svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: SHAPES[name] }));

// The sign and hue of a product: its title first, then its categories from the last one up.
export function kindOf(title, category) {
  const path = category ? category.split(" > ") : [];
  for (const text of [title.slice(0, 80), ...path.reverse()]) {
    const found = KINDS.find(([, , words]) => words.test(text));
    if (found) return { sign: found[0], hue: found[1] };
  }
  return { sign: null, hue: hash(path.at(-1) || title) % 360 };
}

function hash(text) {
  let sum = 7;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) % 1_000_003;
  return sum;
}

export const initials = title =>
  title.split(/[^\p{L}\p{N}]+/u).filter(Boolean).slice(0, 2).map(word => [...word][0].toUpperCase()).join("") || "?";
