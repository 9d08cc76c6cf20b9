// The dashboard: one stream in, everything it says onto the page.

import { ageBudgets, showBudgets } from "./budgets.js";
import { Charts, History } from "./chart.js";
import { forget, hasToken, headers, post, remember } from "./doors.js";
import { byId, mark, say, show } from "./elements.js";
import { ageJobs, showJobs } from "./jobs.js";
import { ageKey, prepareKey, showKey } from "./key.js";
import { ageStatus, ageWindows, queued, showQueue, showStatus, showTiles, showUsage, showWindows } from "./panels.js";
import { ageRoles, showRoles } from "./roles.js";
import { ageSchedules, showSchedules } from "./schedules.js";
import { Stream } from "./stream.js";
import { plain } from "./words.js";

const history = new History();
const charts = new Charts(byId("charts"));
let view = null;
let ahead = 0; // seconds by which the server's clock is before ours
let everything = false; // usage of all time
let alarm = 0;

/** Stands still while the connection is lost: nobody knows what lasts on. */
function serverNow() {
  return (stale || Date.now()) / 1000 + ahead;
}

/** Do something through the API; say it when that fails. */
async function act(what, path, value) {
  show(byId("alert"), false);
  try {
    await post(path, value);
    say(byId("news"), `${what}: done`);
  } catch (error) {
    say(byId("alert"), `Could not ${what}: ${error.message}`);
    show(byId("alert"), true);
    clearTimeout(alarm);
    alarm = setTimeout(() => show(byId("alert"), false), 12_000);
  }
}

// -- what the server says -----------------------------------------------------------------------

function heard(name, value) {
  if (name === "hello") {
    ahead = value.now - Date.now() / 1000;
    history.replace(value.history);
  } else if (name === "view") {
    announce(view, value);
    view = value;
    const { windows } = view.health;
    history.add(view.now, {
      limits: windows.map((one) => one.limit),
      queued: queued(view),
      fills: windows.map((one) => one.fill),
    });
    paint();
    // After the first view only: an empty page must not look like an idle house.
    changed("live", {});
  }
}

function paint() {
  show(byId("main"), true);
  show(byId("doors"), !hasToken());
  showStatus(view);
  showTiles(view);
  showWindows(view);
  showRoles(view, act);
  showQueue(view);
  showBudgets(view);
  showKey(view);
  showSchedules(view, act);
  showJobs(view, act);
  showUsage(view, everything);
  age();
}

/** What goes on by itself between two views. */
function age() {
  if (!view) return;
  const now = serverNow();
  const elapsed = Math.max(0, now - view.now);
  ageStatus(view, elapsed);
  ageWindows(view, elapsed);
  ageRoles(view, elapsed);
  ageBudgets(view, now);
  ageKey(view, now);
  ageSchedules(view, now);
  ageJobs(view, now);
  charts.draw(history, now);
}

function named(budget) {
  return `${budget.of}, ${budget.budget},`;
}

/** Tell those who listen what changed that matters; not every number. */
function announce(before, after) {
  if (!before) return;
  const news = [];
  if (before.health.status !== after.health.status) {
    news.push(`supervisor is ${after.health.status} ${after.health.reason}`);
  }
  for (const [name, role] of Object.entries(after.health.roles)) {
    const old = before.health.roles[name];
    if (!old) news.push(`role ${name} is here`);
    else if (old.state !== role.state) news.push(`${name} is ${plain(role.state)}`);
  }
  const { last_reload: look, unusable } = after.health.key;
  if (unusable && !before.health.key.unusable) news.push("the key is refused");
  if (look && look.at !== before.health.key.last_reload?.at) news.push(`look for a new key: ${look.result}`);
  const spent = new Set(before.budgets.filter((one) => one.left_usd <= 0).map(named));
  for (const one of after.budgets) {
    if (one.left_usd <= 0 && !spent.has(named(one))) news.push(`the budget of ${named(one)} is spent`);
  }
  const failed = new Set(before.jobs.filter((job) => job.status === "failed").map((job) => job.id));
  for (const job of after.jobs) {
    if (job.status === "failed" && !failed.has(job.id)) news.push(`a job of ${job.role} has failed`);
  }
  if (news.length) say(byId("news"), news.join("; "));
}

// -- the connection -----------------------------------------------------------------------------

let stale = 0; // when the page stopped being told news
let retry = 0; // when the next attempt is due
let lostBy = "";

function changed(state, { wait, why }) {
  const link = byId("link");
  mark(link, "data-state", state);
  say(link, { live: "live", connecting: "connecting", lost: "offline", locked: "locked" }[state]);
  if (state === "lost") {
    stale ||= Date.now();
    retry = Date.now() + wait;
    lostBy = why;
  } else if (state !== "connecting") {
    stale = 0;
  }
  document.body.classList.toggle("stale", stale > 0);
  tellConnection();
  show(byId("login"), state === "locked");
  if (state === "locked") lock();
}

function tellConnection() {
  const banner = byId("banner");
  show(banner, stale > 0);
  if (!stale) return;
  const seconds = Math.ceil((retry - Date.now()) / 1000);
  const next = seconds > 0 ? `trying again in ${seconds} s` : "trying again";
  // Only the fact is read aloud, not the countdown.
  mark(banner, "aria-live", "off");
  say(banner, `Connection lost (${lostBy}); what you see is old. ${next[0].toUpperCase()}${next.slice(1)} …`);
  const fact = "connection lost";
  if (byId("news").dataset.stale !== String(stale)) {
    byId("news").dataset.stale = String(stale);
    say(byId("news"), fact);
  }
}

function lock() {
  view = null;
  show(byId("main"), false);
  show(byId("brake"), false);
  if (hasToken()) say(byId("login-why"), "That is not the supervisor's token.");
  forget();
  byId("token").focus();
}

prepareKey(act);
const stream = new Stream("/api/events", { headers, heard, changed });

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  remember(byId("token").value.trim());
  byId("token").value = "";
  stream.open();
});

byId("brake").addEventListener("click", () => {
  const what = byId("brake").dataset.does;
  act(what, `/api/${what}`, what === "pause" ? { reason: "by hand, on the dashboard" } : {});
});

for (const [id, all] of [["usage-today", false], ["usage-all", true]]) {
  byId(id).addEventListener("click", () => {
    everything = all;
    mark(byId("usage-today"), "aria-pressed", !all);
    mark(byId("usage-all"), "aria-pressed", all);
    if (view) showUsage(view, everything);
  });
}

// A browser opens six connections to a host at most: tabs that nobody sees give theirs back.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) stream.close();
  else if (byId("login").hidden) stream.open();
});

addEventListener("online", () => stale && stream.open());
addEventListener("resize", age);
setInterval(() => {
  age();
  tellConnection();
}, 1000);
stream.open();
