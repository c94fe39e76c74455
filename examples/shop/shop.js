// What a shop's own pages would do. This shop has no server, so the URL names the product in view.
// Runs before crossaisle.js, which is deferred.
const products = JSON.parse(document.getElementById("products").textContent);
const item = new URLSearchParams(location.search).get("item");
const cart = JSON.parse(sessionStorage.getItem("cart") || "[]");
const byId = (id) => document.getElementById(id);

if (item) {
  byId("title").textContent = products[item] || `Product ${item}`;
  document.body.dataset.crossaisleView = item;
  Object.assign(byId("beside").dataset, { crossaisle: "goes-with", item });
  byId("add").dataset.crossaisleCart = item;
  byId("buy").hidden = false;
}
byId("basket").dataset.items = JSON.stringify(cart);
byId("add").addEventListener("click", () => {
  cart.push(item);
  sessionStorage.setItem("cart", JSON.stringify(cart));
  byId("basket").dataset.items = JSON.stringify(cart);
  byId("said").textContent = `${cart.length} in your cart`;
});
for (const [id, title] of Object.entries(products)) {
  const link = document.createElement("a");
  link.href = `?item=${encodeURIComponent(id)}`;
  link.textContent = title;
  const place = document.createElement("li");
  place.append(link);
  byId("shelf").append(place);
}
