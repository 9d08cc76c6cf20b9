// What the clock hands in: when it is due, what became of the last one, and one now.

import { button, byId, fill, keep, make, mark, pill, row, say, show } from "./elements.js";
import { duration, moment, plain } from "./words.js";

const COLUMNS = [
  ["Schedule"], ["Role"], ["State"], ["Next", "time"], ["Last", "time"], ["Last job"], ["Problem", "text"], ["", "actions"],
];
const MOODS = { done: "good", failed: "bad", cancelled: "calm", queued: "warn", running: "busy" };
const AT_REST = new Set(["stopped", "failed", "done"]);

/** @param act (what, path) => does something and tells how it went */
export function showSchedules(view, act) {
  show(byId("schedules-none"), view.schedules.length === 0);
  show(byId("schedules-table"), view.schedules.length > 0);
  keep(byId("schedules"), view.schedules, {
    key: (one) => one.name,
    create: (one) => create(one.name, act),
    update: (tr, one) => update(tr, one, view.health.roles[one.role]),
  });
}

/** What counts on between two views. */
export function ageSchedules(view, now) {
  const all = new Map(view.schedules.map((one) => [one.name, one]));
  for (const tr of byId("schedules").rows) {
    const one = all.get(tr.dataset.key);
    if (!one) continue;
    say(tr.cells[3], one.next === null ? "" : `in ${duration(Math.max(0, Math.ceil(one.next - now)))}`);
    say(tr.cells[4], one.last === null ? "" : `${duration(Math.max(0, Math.floor(now - one.last)))} ago`);
  }
}

function create(name, act) {
  const tr = row(COLUMNS);
  tr.cells[0].append(make("b", {}, name), make("small", {}));
  tr.cells[2].append(make("span", { class: "pill" }));
  tr.cells[5].append(make("span", { class: "pill" }));
  const now = button("Run now", () => act(`run ${name}`, `/api/schedules/${encodeURIComponent(name)}/run`));
  mark(now, "aria-label", `Run ${name} now`);
  tr.cells[7].append(now);
  return tr;
}

function update(tr, one, role) {
  say(tr.cells[0].children[1], one.timezone === "UTC" ? `${one.cron} UTC` : `${one.cron} ${one.timezone}`);
  fill(tr, [undefined, one.role, undefined, undefined, undefined, undefined, one.problem]);
  if (one.problem) pill(tr.cells[2].firstElementChild, "cannot run", "bad");
  else if (role && AT_REST.has(role.state)) pill(tr.cells[2].firstElementChild, `role ${plain(role.state)}`, "warn");
  else pill(tr.cells[2].firstElementChild, "on", "good");
  mark(tr.cells[3], "title", one.next === null ? null : moment(one.next));
  mark(tr.cells[4], "title", one.last === null ? null : moment(one.last));
  const last = tr.cells[5].firstElementChild;
  pill(last, one.job_status ?? "none yet", MOODS[one.job_status] ?? "calm");
  mark(last, "title", one.job);
}
