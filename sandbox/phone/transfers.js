// Money for the holder of the phone: taken, or tapped away.
import { both, call, make, one, redraw, yuan } from "./elements.js";

let settle = async () => {};

function offer(transfer) {
  const id = transfer.out_bill_no;
  const act = (verb) => async (event) => {
    event.currentTarget.disabled = true;
    await call(`/_sandbox/transfers/${encodeURIComponent(id)}/${verb}`, {}).catch(() => null);
    await settle();
  };
  return make("article", { class: "sheet transfer", "data-bill": id },
    make("div", { class: "shop" }, transfer.shop),
    make("p", { class: "what" }, transfer.transfer_remark),
    make("div", { class: "money" }, yuan(transfer.transfer_amount)),
    make("dl", {},
      make("dt", {}, ...both("收款人", "payee")), make("dd", {}, transfer.payee),
      make("dt", {}, ...both("单号", "number")), make("dd", {}, id)),
    make("div", { class: "buttons" },
      make("button", { class: "pay take", type: "button", id: `take-${id}`, click: act("confirm") }, ...both("收款", "Take it")),
      make("button", { class: "cancel", type: "button", id: `leave-${id}`, click: act("refuse") }, ...both("以后再说", "Not now"))));
}

export function drawTransfers(state, mine, nameOf, refresh) {
  settle = refresh;
  const waiting = state.transfers.filter((transfer) => transfer.state === "WAIT_USER_CONFIRM" && !transfer.declined && mine(transfer))
    .map((transfer) => ({ ...transfer, seconds_left: null, shop: state.shop, payee: nameOf(state, transfer.openid) }));
  one("#incoming-title").hidden = waiting.length === 0;
  redraw(one("#incoming"), waiting, () => waiting.map(offer));
}
