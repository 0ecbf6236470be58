// The developer's side: how notices travel, what time it is, what the merchant answered.
import { both, call, make, one, redraw } from "./elements.js";

const STATES = { waiting: ["等待中", "waiting"], delivered: ["已送达", "delivered"], held: ["扣住", "held"], given_up: ["已放弃", "given up"] };
let refresh = async () => {};

one("#delivery").addEventListener("click", async (event) => {
  const mode = event.target.closest("button")?.dataset.mode;
  if (mode) await call("/_sandbox/delivery", { mode });
  await refresh();
});

one("#jumps").addEventListener("click", async (event) => {
  const seconds = event.target.closest("button")?.dataset.seconds;
  if (seconds) await call("/_sandbox/clock/advance", { seconds: Number(seconds) });
  await refresh();
});

function badge(attempt) {
  const good = attempt.status === 200 || attempt.status === 204;
  const text = attempt.status ?? "×";
  const why = `${attempt.at} · ${attempt.took_ms} ms · ${attempt.error ?? attempt.answer ?? ""}`;
  return make("span", { class: `badge ${good ? "good" : ""}`, title: why }, `${text}${attempt.variant ? ` ${attempt.variant}` : ""}`);
}

function notice(item) {
  const redeliver = async (event) => {
    event.currentTarget.disabled = true;
    await call(`/_sandbox/notifications/${encodeURIComponent(item.id)}/deliver`, {}).catch(() => null);
    await refresh();
  };
  return make("li", {},
    make("span", { class: "what" }, `${item.event_type} · ${item.subject}`),
    make("button", { type: "button", id: `deliver-${item.id}`, click: redeliver }, ...both("再送一次", "redeliver")),
    make("span", { class: "where" }, item.url),
    make("span", { class: "attempts" }, make("span", { class: "badge quiet" }, STATES[item.state].join(" ")), ...item.attempts.map(badge)),
    item.next_at ? make("span", { class: "next" }, `下次 next ${item.next_at.slice(0, 19).replace("T", " ")}`) : null);
}

export function drawDrawer(state, onChange) {
  refresh = onChange;
  for (const button of one("#delivery").children) button.setAttribute("aria-pressed", button.dataset.mode === state.delivery.mode);
  const shift = state.clock.offset_s ? ` (+${Math.round(state.clock.offset_s)} s)` : "";
  one("#clock").textContent = state.clock.now.slice(0, 19).replace("T", " ") + shift;
  redraw(one("#notices"), state.notices, () => (state.notices.length ? state.notices.map(notice)
    : [make("li", {}, make("span", { class: "where" }, "还没有通知 none yet"))]));
}
