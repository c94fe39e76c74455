// 中文。

// “你常买甲，还买过乙”
const went = did => did.map((one, at) => (at ? one.replace(/^你/, "还") : one)).join("，");

export default {
  // 框架
  shop: "橱窗", console: "控制台", visitor: "访客", store: "店铺", key: "API 密钥", dark: "深色", light: "浅色",
  close: "关闭", dismiss: "知道了", again: "重试", cancel: "取消",
  skip_rows: "跳到推荐", skip_products: "跳到商品", skip_content: "跳到内容",
  away: "服务没有响应，正在重试；您的操作不会丢失。", here_again: "服务已恢复。",
  name_shop: "这里有多家店铺，请填写您的店铺名称。",
  problem_0: "服务没有响应。", problem_400: "服务无法理解这个请求。",
  problem_401: "这家店铺需要 API 密钥，请在“访客”菜单中填写。可用 “crossaisle keys add STORE NAME --scope read --scope write” 创建。", problem_403: "这个 API 密钥没有此项权限。",
  problem_404: "它不存在（或已不存在）。", problem_409: "现在无法这样做。", problem_422: "内容有误：",
  problem_429: "请求过多，请稍后再试。", problem_500: "服务出错了，请重试。",
  problem_503: "服务繁忙或正在启动，请稍后再试。", problem_other: "操作没有成功。",
  // 搜索与商品
  search: "搜索商品、品牌、编号", categories: "品类", find_category: "查找品类", no_category: words => `没有名为“${words}”的品类。`,
  all_of: name => `${name}：全部`, all_products: "全部商品", more: n => `再显示 ${n} 件`,
  found_words: (n, total, words) => `“${words}”：${n} 件商品`, found_in: (name, n) => `${name}：${n} 件商品`,
  found_all: n => `本店共有 ${n} 件商品。`,
  read_as: words => `显示的是“${words}”的结果。`, not_all_words: "没有商品包含全部词语，以下商品包含其中大部分。",
  nothing_for: words => `没有找到“${words}”。`, nothing_here: "这里没有商品。", nothing_filters: "可能是筛选条件过严。",
  nothing_hint: "请换个词，或减少词语。", without_filters: "取消筛选", to_start: "回到首页", no_such_category: "没有这个品类。",
  take_back: what => `取消：${what}`, price_range: (low, high) => (low && high ? `${low} 至 ${high}` : low ? `${low} 起` : `不超过 ${high}`),
  sort: "排序", sort_best: "最相关", sort_price: "价格从低到高", sort_price_down: "价格从高到低", sort_title: "名称",
  from: "价格", to: "至", in_stock_only: "仅看有货", sold_out: "缺货", new: "新品", more_like_it: n => `另有 ${n} 件同类`, why: "推荐理由：",
  add: "加入购物车", add_named: title => `把 ${title} 加入购物车`, add_more: (title, n) => `再加一件 ${title}，车中已有 ${n} 件`,
  add_another: n => `再加一件（车中 ${n} 件）`, own_page: "到店铺查看", about: "商品介绍",
  no_product: id => `本店没有编号为 ${id} 的商品。`, not_found: "没有找到",
  // 推荐
  row_you: "为你推荐", row_popular: "热门商品", row_range: "本店商品", row_new: "发现新品类", row_new_note: "来自你还没有买过的品类。",
  row_again: "再次购买", row_again_note: "买过、可能又需要的商品。", row_beside: "搭配购买", row_similar: "类似商品",
  nothing_known: "还不了解这位访客：每次点击都会带来改变。",
  first_day: "这家店还没有多少购买记录：列表以商品资料为依据。",
  mix: "来自新品类", mix_any: "不限", mix_share: percent => `占 ${percent}`,
  // 访客
  shopping_as: "当前访客", switch: "切换", examples: "本店顾客：", new_visitor: "新访客", visiting: name => `现在是访客 ${name}。`,
  // 购物车
  cart: "购物车", cart_pieces: (n, price) => (price ? `购物车：${n} 件 · ${price}` : `购物车：${n} 件`), cart_empty: "购物车是空的。",
  cart_hint: "加入一件商品，看看什么与它相配。", total: "合计", quantity: "数量：", one_more: title => `${title} 加一件`, one_less: title => `${title} 减一件`,
  remove_named: title => `移除 ${title}`, order: "提交测试订单", completes: "配齐购物车", add_all: (n, price) => (price ? `全部加入（${n} 件，${price}）` : `全部加入（${n} 件）`),
  added: (what, n, price) => `已加入：${what}。购物车共 ${n} 件${price ? `，${price}` : ""}。`, removed: (what, n, price) => `已移除：${what}。购物车共 ${n} 件${price ? `，${price}` : ""}。`,
  changed: (what, n, price) => `${what}：${n} 件${price ? `，合计 ${price}` : ""}。`, ordered: (n, price) => `谢谢！已记录一笔测试订单：${n} 件${price ? `，${price}` : ""}。`,
  // 理由
  why_gap: "", why_end: "。", why_paired: (names, reason) => `本店搭配：${names[0]} 配${names[1] ? ` ${names[1]}` : "各类商品"}${reason ? `（${reason}）` : ""}`,
  why_same_name: "与所看商品同名", why_beside: names => `与${names}搭配`, why_similar: names => `与${names}类似`,
  why_because: did => `因为${went(did)}`, why_also: did => `也因为${went(did)}`,
  why_namesake: verb => `你${verb}另一件同名商品`, why_another: "也有另一件同名商品",
  why_fits: (what, names) => `符合你${what}${names ? `，如${names}` : ""}`,
  fits_view: "常看的商品", fits_favourite: "的喜好", fits_cart: "常加入购物车的商品", fits_rating: "的喜好", fits_purchase: "的购买习惯", fits_chosen: "常选的商品",
  why_popular: "很受其他顾客欢迎", why_versions: "多个款式都受欢迎", did_all: went,
  did_view: x => `你看过${x}`, did_favourite: x => `你收藏过${x}`, did_cart: x => `你把${x}加入过购物车`, did_rating: x => `你好评过${x}`,
  did_purchase: x => `你买过${x}`, did_chosen: x => `你选过${x}`,
  does_view: x => `你常看${x}`, does_favourite: x => `你喜欢${x}`, does_cart: x => `你常把${x}加入购物车`, does_rating: x => `你喜欢${x}`,
  does_purchase: x => `你常买${x}`, does_chosen: x => `你常选${x}`,
  why_habit: often => `你大约${often}买一次`, every_day: "每天", every_days: n => `每 ${n} 天`, every_week: "每周", every_weeks: n => `每 ${n} 周`, every_month: "每月", every_months: n => `每 ${n} 个月`,
  before_view: "你看过它", before_favourite: "你收藏过它", before_cart: "你把它加入过购物车", before_rating: "你好评过它",
  before_purchase: "你买过它", before_chosen: "你选过它",
  verb_view: "看过", verb_favourite: "收藏过", verb_cart: "加入过购物车", verb_rating: "好评过", verb_purchase: "买过", verb_chosen: "选过",
};
