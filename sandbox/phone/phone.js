// The buyer's side: who holds the phone, what waits, what became of it.
import { both, call, make, one, redraw, yuan } from "./elements.js";
import { drawDrawer } from "./drawer.js";
import { drawTransfers } from "./transfers.js";

const POLL_MS = 1000;
const ANYONE = "";
const opened = new URLSearchParams(location.search).get("prepay_id");
let holder = sessionStorage.getItem("holder") ?? ANYONE;

const KINDS = { JSAPI: ["小程序", "Mini Program"], NATIVE: ["扫码", "QR code"], MWEB: ["网页", "H5"], APP: ["App", "app"] };
const STATES = {
  SUCCESS: ["已支付", "paid"], REFUND: ["有退款", "refunded"], CLOSED: ["已关闭", "closed"], NOTPAY: ["已取消", "cancelled"],
};
const REFUNDS = {
  PROCESSING: ["退款中", "on its way"], SUCCESS: ["已退款", "refunded"], ABNORMAL: ["退款异常", "abnormal"], CLOSED: ["退款关闭", "closed"],
};

const mine = (payment) => holder === ANYONE || payment.openid === null || payment.openid === holder;
const nameOf = (state, openid) => state.users.find((user) => user.openid === openid)?.label ?? openid;

function timeLeft(seconds) {
  if (seconds <= 0) return both("已过期", "expired");
  if (seconds >= 86400) return both(`${Math.floor(seconds / 86400)} 天`, "days left");
  if (seconds >= 3600) return both(`${Math.floor(seconds / 60)} 分钟`, "minutes left");
  const clock = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  return both(clock, "left");
}

function sheet(state, payment) {
  const id = payment.out_trade_no;
  return make("article", { class: "sheet", "data-no": id },
    make("div", { class: "shop" }, payment.shop),
    make("p", { class: "what" }, payment.description),
    make("div", { class: "money" }, yuan(payment.amount)),
    make("dl", {},
      make("dt", {}, ...both("付款人", "payer")),
      make("dd", {}, payment.openid ? nameOf(state, payment.openid) : "任何人 anyone"),
      make("dt", {}, ...both("方式", "by")), make("dd", {}, ...both(...KINDS[payment.trade_type])),
      make("dt", {}, ...both("剩余时间", "time")), make("dd", { class: "left", "data-left": id }),
      make("dt", {}, ...both("单号", "number")), make("dd", {}, id)),
    make("div", { class: "buttons" },
      make("button", { class: "pay", type: "button", id: `pay-${id}`, click: (event) => pay(event, payment) }, ...both("支付", "Pay")),
      make("button", { class: "cancel", type: "button", id: `cancel-${id}`, click: (event) => cancel(event, payment) }, ...both("取消", "Cancel"))));
}

async function pay(event, payment) {
  event.currentTarget.disabled = true;
  const body = payment.openid === null && holder !== ANYONE ? { openid: holder } : {};
  await conclude(payment, "paid", ["支付成功", "Paid"], () => call(`/_sandbox/payments/${encodeURIComponent(payment.out_trade_no)}/pay`, body));
}

async function cancel(event, payment) {
  event.currentTarget.disabled = true;
  await conclude(payment, "cancelled", ["已取消，订单仍可支付", "Cancelled; it can still be paid"],
    () => call(`/_sandbox/payments/${encodeURIComponent(payment.out_trade_no)}/cancel`, {}));
}

async function conclude(payment, kind, title, act) {
  const result = one("#result");
  try {
    await act();
    show(kind, title, payment, `${payment.shop} · ${payment.description}`);
  } catch (error) {
    show("refused", ["没有成功", "It did not work"], payment, error.message);
  }
  result.querySelector("button").focus();
  await refresh();
}

function show(kind, title, payment, why) {
  const result = one("#result");
  result.className = `result ${kind}`;
  result.querySelector(".title").replaceChildren(...both(...title));
  result.querySelector(".money").textContent = `¥${yuan(payment.amount)}`;
  result.querySelector(".why").textContent = why;
  result.hidden = false;
}

function recent(item) {
  const [chinese, english] = item.words;
  return make("li", {},
    make("span", { class: "what" }, item.what), make("span", { class: `money ${item.back ? "plus" : ""}` }, `${item.back ? "+" : "−"}${yuan(item.fen)}`),
    make("small", {}, item.at.slice(5, 16).replace("T", " ")), make("span", { class: "state" }, make("small", {}, `${chinese} ${english}`)));
}

function history(state) {
  const payments = state.payments.filter(mine).filter((p) => p.state !== "NOTPAY" || p.cancelled).map((p) => ({
    at: p.paid_at ?? p.created_at, what: p.description, fen: p.amount, words: STATES[p.state], back: false,
  }));
  const names = new Map(state.payments.map((p) => [p.out_trade_no, p]));
  const refunds = state.refunds.filter((r) => mine(names.get(r.out_trade_no) ?? { openid: null })).map((r) => ({
    at: r.success_time ?? r.create_time, what: `退款 Refund · ${names.get(r.out_trade_no)?.description ?? r.out_trade_no}`, fen: r.amount.refund, words: REFUNDS[r.status], back: true,
  }));
  return [...refunds, ...payments].sort((a, b) => b.at.localeCompare(a.at)).slice(0, 20);
}

function drawHolder(state) {
  const people = state.users.map((user) => [user.openid, `${user.label} · ${user.openid.slice(0, 8)}…`]);
  const choices = [[ANYONE, "所有人 Anyone"], ...people];
  if (!choices.some(([openid]) => openid === holder)) holder = ANYONE;
  redraw(one("#holder"), choices, () => choices.map(([openid, label]) => make("option", { value: openid }, label)));
  one("#holder").value = holder;
}

function draw(state) {
  one("#time").textContent = state.clock.now.slice(11, 16);
  one("#date").textContent = state.clock.now.slice(0, 10);
  drawHolder(state);
  const waiting = state.payments.filter((p) => p.state === "NOTPAY" && mine(p) && p.seconds_left > -60)
    .sort((a, b) => (b.prepay_id === opened) - (a.prepay_id === opened));
  const facts = waiting.map(({ seconds_left, ...rest }) => rest);
  redraw(one("#waiting"), [facts, state.users.length], () => (waiting.length ? waiting.map((p) => sheet(state, p))
    : [make("div", { class: "empty" }, make("b", {}, "没有待支付的订单"), "Nothing waits to be paid")]));
  for (const payment of waiting) {
    const node = one(`[data-left="${CSS.escape(payment.out_trade_no)}"]`);
    node.replaceChildren(...timeLeft(payment.seconds_left));
    node.classList.toggle("late", payment.seconds_left < 300);
  }
  drawTransfers(state, mine, nameOf, refresh);
  const past = history(state);
  redraw(one("#recent"), past, () => (past.length ? past.map(recent)
    : [make("li", {}, make("small", {}, "还没有 nothing yet"))]));
  drawDrawer(state, refresh);
}

async function refresh() {
  try {
    draw(await call("/_sandbox/phone"));
    document.body.classList.remove("offline");
  } catch {
    document.body.classList.add("offline");
  }
}

one("#holder").addEventListener("change", async (event) => {
  holder = event.target.value;
  sessionStorage.setItem("holder", holder);
  await refresh();
});
one("#done").addEventListener("click", () => { one("#result").hidden = true; });

async function poll() {
  await refresh();
  setTimeout(poll, POLL_MS);
}
poll();
