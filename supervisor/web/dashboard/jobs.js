// The newest jobs; each opens to show what it was given and what came out.

import { get } from "./doors.js";
import { button, byId, fill, keep, make, mark, pill, row, say, show } from "./elements.js";
import { amount, duration, lasting, moment, money } from "./words.js";

const COLUMNS = [
  ["Job"], ["Role"], ["Status"], ["Age", "time"], ["Took", "time"], ["Tokens", "number"], ["Cost", "number"],
  ["Error", "text"], ["", "actions"],
];
const MOODS = { done: "good", failed: "bad", cancelled: "calm", queued: "warn", running: "busy" };
const ENDED = new Set(["done", "failed", "cancelled"]);
const PARTS = [["Error", "error"], ["Result", "result"], ["Input", "input"], ["Traceback", "detail"]];

/** @param act (what, path) => does something and tells how it went */
export function showJobs(view, act) {
  show(byId("jobs-none"), view.jobs.length === 0);
  keep(byId("jobs"), view.jobs, {
    key: (job) => job.id,
    create: (job) => create(job, act),
    update,
    selector: "tbody",
  });
}

export function ageJobs(view, now) {
  const jobs = new Map(view.jobs.map((job) => [job.id, job]));
  for (const body of byId("jobs").tBodies) {
    const job = jobs.get(body.dataset.key);
    if (!job) continue;
    const cells = body.rows[0].cells;
    say(cells[3], lasting(now - job.created));
    if (job.started === null) say(cells[4], "");
    else if (job.ended === null) say(cells[4], lasting(now - job.started));
    else say(cells[4], duration(job.ended - job.started));
  }
}

function create(job, act) {
  const tr = row(COLUMNS);
  const named = job.id.slice(0, 8);
  const details = make("tr", { class: "details", id: `job-${job.id}`, hidden: "" }, make("td", { colspan: COLUMNS.length }));
  const body = make("tbody", {}, tr, details);
  const opener = button(named, () => toggle(body, opener));
  opener.className = "opener";
  for (const [name, value] of [["aria-expanded", "false"], ["aria-controls", details.id], ["title", job.id]]) mark(opener, name, value);
  mark(opener, "aria-label", `Job ${named}: input and result`);
  tr.cells[0].append(opener);
  tr.cells[2].append(make("span", { class: "pill" }));
  const path = `/api/jobs/${encodeURIComponent(job.id)}`;
  // One button: whoever has the focus on it keeps it when the job ends.
  const action = button("", async () => {
    const what = action.dataset.does;
    if (what) await act(`${what} job ${named}`, `${path}/${what}`);
  });
  tr.cells[8].append(action);
  return body;
}

function update(body, job) {
  const tr = body.rows[0];
  pill(tr.cells[2].firstElementChild, job.status, MOODS[job.status] ?? "warn");
  const usd = job.cost.usd === null ? "" : money(job.cost.usd);
  fill(tr, [undefined, job.role, undefined, undefined, undefined, amount(job.cost.tokens), usd, job.error ?? ""]);
  mark(tr.cells[7], "title", job.error || null);
  mark(tr.cells[3], "title", moment(job.created));
  const action = tr.cells[8].firstElementChild;
  const what = !ENDED.has(job.status) ? "cancel" : job.status === "done" ? "" : "retry";
  mark(action, "data-does", what);
  show(action, what !== "");
  say(action, what === "retry" ? "Retry" : "Cancel");
  mark(action, "aria-label", `${what === "retry" ? "Retry" : "Cancel"} job ${job.id.slice(0, 8)}`);
  const version = `${job.status} ${job.runs} ${job.retries}`;
  if (body.dataset.version !== version) {
    body.dataset.version = version;
    if (!body.rows[1].hidden) load(body);
  }
}

async function toggle(body, opener) {
  const open = body.rows[1].hidden;
  show(body.rows[1], open);
  mark(opener, "aria-expanded", open);
  if (open) await load(body);
}

async function load(body) {
  const cell = body.rows[1].cells[0];
  const id = body.dataset.key;
  try {
    const job = await get(`/api/jobs/${encodeURIComponent(id)}`);
    const parts = PARTS.filter(([, field]) => job[field] !== null).flatMap(([title, field]) => [
      make("h3", {}, title),
      make("pre", { tabindex: "0" }, written(job[field])),
    ]);
    cell.replaceChildren(make("p", { class: "note" }, facts(job)), ...parts);
  } catch (error) {
    cell.replaceChildren(make("p", { class: "note" }, `cannot be read: ${error.message}`));
  }
}

function facts(job) {
  const parts = [`id ${job.id}`, `accepted ${moment(job.created)}`, `runs ${job.runs}`];
  if (job.parent) parts.push(`delegated by ${job.parent}`);
  if (job.key) parts.push(`key ${job.key}`);
  if (job.cost.requests) parts.push(`${job.cost.requests} requests`);
  return parts.join(" · ");
}

function written(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}
