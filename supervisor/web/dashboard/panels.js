// Everything that is only looked at: status, tiles, windows, queue, usage, broken plugins.

import { byId, fill, keep, make, mark, meter, pill, row, say, setMeter, show } from "./elements.js";
import { amount, count, duration, lasting, money, percent } from "./words.js";

const QUEUE = [
  ["Class"], ["Priority", "number"], ["Share", "number"], ["Waiting", "number"], ["In flight", "number"],
  ["Requests since start", "number"], ["Wait, median", "number"], ["Wait, 99 %", "number"], ["Why", "text"],
];
const USAGE = [
  ["Class"], ["Attempts", "number"], ["Answered", "number"], ["Refused", "number"], ["Prompt tokens", "number"],
  ["Cached", "number"], ["Answer tokens", "number"], ["Reasoning", "number"], ["Cost", "number"],
];
const SUMMED = ["attempts", "answered", "refused", "prompt", "completion", "reasoning", "cached", "cost"];
const STATUS = {
  ok: ["open", "good"],
  paused: ["paused", "warn"],
  halted: ["halted", "bad"],
  draining: ["draining", "warn"],
};

export function showStatus(view) {
  const { status, reason, version, broken_plugins: broken } = view.health;
  const [word, mood] = STATUS[status] ?? [status, "warn"];
  const ready = view.ready && status === "ok";
  pill(byId("status"), ready ? "not ready" : word, ready ? "warn" : mood);
  const why = [reason, view.ready, view.trouble && `cannot be read: ${view.trouble}`].filter(Boolean);
  say(byId("reason"), why.join(" · "));
  say(byId("version"), version);
  const brake = byId("brake");
  show(brake, true);
  mark(brake, "data-does", status === "paused" ? "resume" : "pause");
  say(brake, status === "paused" ? "Resume" : "Pause");
  show(byId("broken"), broken.length > 0);
  keep(byId("broken-list"), broken, {
    key: (one) => `${one.file}:${one.line}`,
    create: () => make("li", {}, make("code", {}), make("span", {})),
    update: (item, one) => {
      say(item.children[0], one.line ? `${one.file}:${one.line}` : one.file);
      // The loader begins some of its messages with the file itself.
      const message = one.message.startsWith(`${one.file}: `) ? one.message.slice(one.file.length + 2) : one.message;
      say(item.children[1], ` ${message}`);
    },
  });
}

/** All traffic classes: roles and clients, most urgent first. */
export function classes(view) {
  const all = [...Object.entries(view.health.roles), ...Object.entries(view.health.clients)];
  return all.sort(([a, one], [b, other]) => one.priority - other.priority || (a < b ? -1 : 1));
}

export function queued(view) {
  return classes(view).reduce((sum, [, one]) => sum + one.queued, 0);
}

export function showTiles(view) {
  const traffic = classes(view).map(([, one]) => one);
  const roles = Object.values(view.health.roles);
  const today = view.usage.today;
  const sum = (list, of) => list.reduce((all, one) => all + of(one), 0);
  const tiles = [
    ["Requests waiting", count(sum(traffic, (one) => one.queued))],
    ["In flight", count(sum(traffic, (one) => one.in_flight))],
    ["Jobs running", count(sum(roles, (one) => one.jobs.running))],
    ["Jobs queued", count(sum(roles, (one) => one.jobs.queued))],
    ["Tokens today", amount(sum(today, (one) => one.prompt + one.completion + one.reasoning))],
    ["Cost today", money(sum(today, (one) => one.cost))],
  ];
  keep(byId("tiles"), tiles, {
    key: ([name]) => name,
    create: ([name]) => make("div", {}, make("dt", {}, name), make("dd", {})),
    update: (tile, [, value]) => say(tile.children[1], value),
  });
}

export function showWindows(view) {
  const { windows, pause } = view.health;
  show(byId("windows-none"), windows.length === 0);
  keep(byId("windows"), windows, {
    key: (one) => one.limit,
    create: createWindow,
    update: updateWindow,
  });
  const refused = `The API has refused ${pause.refusals === 1 ? "once" : `${pause.refusals} times in a row`}`;
  show(byId("pause"), pause.refusals > 0);
  say(byId("pause"), pause.probing ? `${refused}; one request finds out whether it lets us in again.` : `${refused}; sending pauses.`);
}

/** What counts down between two views. */
export function ageWindows(view, elapsed) {
  view.health.windows.forEach((one, at) => {
    const item = byId("windows").children[at];
    if (!item) return;
    const left = one.next_free_s - elapsed;
    const free = Math.max(0, one.amount - one.used);
    say(item.children[2], one.next_free_s > 0 ? `next free in ${duration(left)}` : `${count(free)} free`);
  });
}

function createWindow(one) {
  return make("li", {}, make("p", { class: "line" }, make("b", {}, one.limit), make("span")), meter(one.limit), make("p", { class: "note" }));
}

function updateWindow(item, one) {
  const [line, bar] = item.children;
  say(line.children[1], `${amount(one.used)} of ${amount(one.amount)} used`);
  const mood = one.fill >= 0.95 ? "bad" : one.fill >= 0.7 ? "warn" : "good";
  setMeter(bar, { part: one.fill, text: `${count(one.used)} of ${count(one.amount)} used`, mood });
}

export function showQueue(view) {
  keep(byId("queue"), classes(view), {
    key: ([name]) => name,
    create: () => row(QUEUE),
    update: (tr, [name, one]) => {
      const waits = one.waits ? [duration(one.waits.p50_s), duration(one.waits.p99_s)] : ["", ""];
      fill(tr, [
        name, one.priority, percent(one.share), count(one.queued), count(one.in_flight),
        count(one.since_start.requests), ...waits, one.why,
      ]);
      tr.classList.toggle("waits", one.queued > 0);
    },
  });
}

export function showUsage(view, everything) {
  const rows = everything ? view.usage.all : view.usage.today;
  show(byId("usage-none"), rows.length === 0);
  say(byId("usage-none"), everything ? "Nothing was used yet." : `Nothing was used yet on ${view.usage.day} (UTC).`);
  const total = { name: "total" };
  for (const field of SUMMED) total[field] = rows.reduce((sum, one) => sum + one[field], 0);
  const shown = { key: (one) => one.name, create: () => row(USAGE), update: fillUsage };
  keep(byId("usage"), rows, shown);
  keep(byId("usage-total"), rows.length ? [total] : [], shown);
}

function fillUsage(tr, one) {
  fill(tr, [
    one.name, count(one.attempts), count(one.answered), count(one.refused), amount(one.prompt),
    amount(one.cached), amount(one.completion), amount(one.reasoning), money(one.cost),
  ]);
}

export function ageStatus(view, elapsed) {
  say(byId("uptime"), `up ${lasting(view.health.uptime_s + elapsed)}`);
}
