// The budgets: how much is spent, until when, and whether it lasts as long.

import { byId, keep, make, meter, say, setMeter, show } from "./elements.js";
import { duration, moment, money } from "./words.js";

/** From this part on the low classes are slowed, so that something is left for the others. */
const NEAR = 0.8;

export function showBudgets(view) {
  const { budgets, forecast } = view;
  show(byId("budgets-none"), budgets.length === 0);
  keep(byId("budgets"), budgets, { key: (one) => `${one.of} ${one.budget}`, create, update });
  const month = `This month ${money(forecast.month_usd)} so far`;
  const ahead = `${money(forecast.burn_usd_per_hour)} an hour of late; ${money(forecast.month_total_usd)} if it goes on so`;
  say(byId("forecast"), forecast.month_usd ? `${month}, ${ahead}.` : `${month}.`);
}

/** What counts down between two views. */
export function ageBudgets(view, now) {
  view.budgets.forEach((one, at) => {
    const item = byId("budgets").children[at];
    if (item) say(item.children[2], `${money(Math.max(0, one.left_usd))} left · ${ends(one, now)}`);
  });
}

function create(one) {
  const name = make("b", {}, one.of === "all" ? "everybody" : one.of);
  const title = make("span", {}, name, ` ${one.budget}`);
  const bar = meter(`Budget of ${one.of === "all" ? "everybody" : one.of}, ${one.budget}`);
  return make("li", {}, make("p", { class: "line" }, title, make("span")), bar, make("p", { class: "note" }), make("p", { class: "note" }));
}

function update(item, one) {
  const [line, bar, , held] = item.children;
  const gone = one.amount_usd - one.left_usd;
  const spent = `${money(one.spent_usd)} of ${money(one.amount_usd)} spent`;
  say(line.children[1], spent);
  const part = one.amount_usd ? gone / one.amount_usd : 1;
  setMeter(bar, { part, text: spent, mood: part >= 1 ? "bad" : part >= NEAR ? "warn" : "good" });
  const parts = [];
  if (one.reserved_usd > 0) parts.push(`${money(one.reserved_usd)} reserved for what is under way`);
  if (one.unpriced_usd > 0) parts.push(`${money(one.unpriced_usd)} for what will have no price`);
  say(held, parts.join(", "));
  show(held, parts.length > 0);
}

function ends(one, now) {
  const renewed = `new in ${duration(one.ends - now)}`;
  if (one.left_usd <= 0) return renewed;
  if (one.runs_out === null) return `${renewed}, lasts until then`;
  const rate = `${money(one.burn_usd_per_hour)} an hour`;
  return `${renewed}, ends in ${duration(one.runs_out - now)} at ${rate} (${moment(one.runs_out)})`;
}
