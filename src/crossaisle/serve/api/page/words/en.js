// English.

const products = n => (n === 1 ? "product" : "products");

export default {
  // around
  shop: "Shop window", console: "Console", visitor: "Visitor", store: "Shop", key: "API key", dark: "Dark", light: "Light",
  close: "Close", dismiss: "Dismiss", again: "Try again", cancel: "Cancel",
  skip_rows: "Skip to the recommendations", skip_products: "Skip to the products", skip_content: "Skip to the content",
  away: "The service is not responding. We keep trying; nothing you did is lost.", here_again: "The service is back.",
  name_shop: "Several shops are served here. Which one is yours?",
  problem_0: "The service is not responding.", problem_400: "The service did not understand this request.",
  problem_401: "This shop needs an API key. Enter it under Visitor. “crossaisle keys add STORE NAME --scope read --scope write” creates one.", problem_403: "This API key is not allowed to do that.",
  problem_404: "This does not exist, or no longer does.", problem_409: "That is not possible right now.", problem_422: "Something is not right:",
  problem_429: "Too many requests. Try again in a moment.", problem_500: "Something went wrong in the service. Try again.",
  problem_503: "The service is busy or starting. Try again in a moment.", problem_other: "That did not work.",
  // search and products
  search: "Search products, brands, numbers", categories: "Categories", find_category: "Find a category", no_category: words => `There is no category called “${words}”.`,
  all_of: name => `All of ${name}`, all_products: "All products", more: n => `Show ${n} more`,
  found_words: (n, total, words) => `${n} ${products(total)} for “${words}”`, found_in: (name, n, total) => `${name}: ${n} ${products(total)}`,
  found_all: (n, total) => `${n} ${products(total)} in this shop.`,
  read_as: words => `Showing results for “${words}”.`, not_all_words: "No product has all of these words; these have most of them.",
  nothing_for: words => `Nothing found for “${words}”.`, nothing_here: "No products here.", nothing_filters: "The filters may be too narrow.",
  nothing_hint: "Try another word, or fewer words.", without_filters: "Clear filters", to_start: "Back to the start", no_such_category: "There is no such category.",
  take_back: what => `Remove the filter: ${what}`, price_range: (low, high) => (low && high ? `${low} to ${high}` : low ? `from ${low}` : `up to ${high}`),
  sort: "Sort by", sort_best: "Best match", sort_price: "Price, low to high", sort_price_down: "Price, high to low", sort_title: "Name",
  from: "From", to: "to", in_stock_only: "In stock", sold_out: "Sold out", new: "New", more_like_it: n => `+${n} alike`, why: "Why you see this:",
  add: "Add to cart", add_named: title => `Add ${title} to the cart`, add_more: (title, n) => `Add another ${title}, ${n} in the cart`,
  add_another: n => `Add another (${n} in the cart)`, own_page: "View in the shop", about: "About this product",
  no_product: id => `There is no product ${id} in this shop.`, not_found: "Not found",
  // rows
  row_you: "For you", row_popular: "Popular now", row_range: "From our range", row_new: "New aisles for you", row_new_note: "From categories you have not shopped yet.",
  row_again: "Buy again", row_again_note: "What you bought before and may need again.", row_beside: "Goes with this", row_similar: "Similar products",
  nothing_known: "Nothing is known about this visitor yet: every click changes that.",
  first_day: "Hardly anything has been bought here yet, so these lists are based on product information.",
  mix: "From aisles new to you", mix_any: "Any mix", mix_share: percent => `${percent} of the list`,
  // visitors
  shopping_as: "Shopping as", switch: "Switch", examples: "Customers of this shop:", new_visitor: "A new visitor", visiting: name => `You are now ${name}.`,
  // cart
  cart: "Cart", cart_pieces: (n, price) => (price ? `Cart: ${n} · ${price}` : `Cart: ${n}`), cart_empty: "Your cart is empty.",
  cart_hint: "Add a product to see what completes it.", total: "Total", quantity: "Quantity: ", one_more: title => `One more ${title}`, one_less: title => `One less ${title}`,
  remove_named: title => `Remove ${title}`, order: "Place a test order", completes: "Completes your cart", add_all: (n, price) => (price ? `Add all ${n} for ${price}` : `Add all ${n}`),
  added: (what, n, price) => `Added: ${what}. In the cart: ${n}${price ? `, ${price}` : ""}.`, removed: (what, n, price) => `Removed: ${what}. In the cart: ${n}${price ? `, ${price}` : ""}.`,
  changed: (what, n, price) => `${what}: ${n}${price ? `. Total ${price}` : ""}.`, ordered: (n, price) => `Thank you! A test order of ${n}${price ? ` for ${price}` : ""} was recorded.`,
  // reasons
  why_gap: " ", why_end: ".", why_paired: (names, reason) => `we pair ${names[0]} with ${names[1] || "everything"}${reason ? ` (${reason})` : ""}`,
  why_same_name: "has the same name", why_beside: names => `goes with ${names}`, why_similar: names => `similar to ${names}`,
  why_because: did => `because ${did.join(", and ")}`, why_also: did => `also because ${did.join(", and ")}`,
  why_namesake: verb => `you ${verb} another product with this name`, why_another: "also another product with this name",
  why_fits: (what, names) => `fits ${what}${names ? `, such as ${names}` : ""}`,
  fits_view: "what you usually look at", fits_favourite: "what you like", fits_cart: "what you usually put in the cart", fits_rating: "what you like",
  fits_purchase: "what you usually buy", fits_chosen: "what you usually choose",
  why_popular: "popular with other shoppers", why_versions: "popular in several versions", did_all: did => did.join(" and "),
  did_view: x => `you looked at ${x}`, did_favourite: x => `you liked ${x}`, did_cart: x => `you put ${x} in the cart`, did_rating: x => `you liked ${x}`,
  did_purchase: x => `you bought ${x}`, did_chosen: x => `you chose ${x}`,
  does_view: x => `you look at ${x}`, does_favourite: x => `you like ${x}`, does_cart: x => `you put ${x} in the cart`, does_rating: x => `you like ${x}`,
  does_purchase: x => `you buy ${x}`, does_chosen: x => `you choose ${x}`,
  why_habit: often => `you buy it about ${often}`, every_day: "once a day", every_days: n => `every ${n} days`, every_week: "once a week", every_weeks: n => `every ${n} weeks`, every_month: "once a month", every_months: n => `every ${n} months`,
  before_view: "you looked at it before", before_favourite: "you liked it before", before_cart: "you put it in the cart before", before_rating: "you liked it before",
  before_purchase: "you bought it before", before_chosen: "you chose it before",
  verb_view: "looked at", verb_favourite: "liked", verb_cart: "put in the cart", verb_rating: "liked", verb_purchase: "bought", verb_chosen: "chose",
};
