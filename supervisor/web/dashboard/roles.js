// The roles, and what can be done to them.

import { button, byId, fill, keep, make, mark, pill, row, say, show } from "./elements.js";
import { count, lasting, plain } from "./words.js";

const COLUMNS = [
  ["Role"], ["State"], ["For", "time"], ["Jobs running", "number"], ["Jobs queued", "number"],
  ["Done", "number"], ["Failed", "number"], ["Restarts", "number"], ["Last error", "text"], ["", "actions"],
];
const MOODS = { running: "good", failed: "bad", stopped: "calm", done: "calm" };
const AT_REST = new Set(["stopped", "failed", "done"]);

/** @param act (what, path) => does something and tells how it went */
export function showRoles(view, act) {
  const roles = Object.entries(view.health.roles);
  show(byId("roles-none"), roles.length === 0);
  keep(byId("roles"), roles, {
    key: ([name]) => name,
    create: ([name]) => create(name, act),
    update,
  });
}

export function ageRoles(view, elapsed) {
  for (const tr of byId("roles").rows) {
    const role = view.health.roles[tr.dataset.key];
    if (role) say(tr.cells[2], lasting(role.since_s + elapsed));
  }
}

function create(name, act) {
  const tr = row(COLUMNS);
  tr.cells[0].append(make("b", {}, name), make("small", {}));
  tr.cells[1].append(make("span", { class: "pill" }));
  const path = `/api/roles/${encodeURIComponent(name)}`;
  const toggle = button("", async () => {
    const what = toggle.dataset.does;
    await act(`${what} ${name}`, `${path}/${what}`);
  });
  const again = button("Restart", () => act(`restart ${name}`, `${path}/restart`));
  mark(again, "aria-label", `Restart ${name}`);
  tr.cells[9].append(toggle, again);
  return tr;
}

function update(tr, [name, role]) {
  const [title, description] = tr.cells[0].children;
  say(title, name);
  say(description, role.description);
  pill(tr.cells[1].firstElementChild, plain(role.state), MOODS[role.state] ?? "warn");
  fill(tr, [
    undefined, undefined, undefined,
    count(role.jobs.running), count(role.jobs.queued), count(role.jobs.done),
    count(role.jobs.failed), count(role.restarts), role.last_error,
  ]);
  mark(tr.cells[8], "title", role.last_error || null);
  const toggle = tr.cells[9].firstElementChild;
  const what = AT_REST.has(role.state) ? "start" : "stop";
  mark(toggle, "data-does", what);
  say(toggle, what === "start" ? "Start" : "Stop");
  mark(toggle, "aria-label", `${what === "start" ? "Start" : "Stop"} ${name}`);
}
