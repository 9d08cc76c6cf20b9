// The key: where it comes from, since when it is used, and what the last look for a new one gave.

import { button, byId, keep, make, pill, say } from "./elements.js";
import { lasting, moment } from "./words.js";

const WELL = new Set(["rotated", "unchanged"]);

/** @param act (what, path) => does something and tells how it went */
export function prepareKey(act) {
  byId("key-look").append(button("Look for a new key", () => act("look for a new key", "/api/keys/reload")));
}

export function showKey(view) {
  const { key } = view.health;
  const last = key.last_reload;
  const state = byId("key-state");
  if (key.unusable) pill(state, "refused", "bad");
  else if (last && !WELL.has(last.result)) pill(state, `a new one is ${last.result}`, "warn");
  else pill(state, "in use", "good");
  const facts = [["Source", key.source], ["Fingerprint", key.fingerprint || "no key"]];
  facts.push(["In use", ""]);
  facts.push(["Rotated", `${["not", "once"][key.rotations] ?? `${key.rotations} times`} since the start`]);
  if (key.unusable) facts.push(["Refused", key.unusable]);
  facts.push(["Last look", last ? `${last.result}, ${last.cause}: ${last.detail}` : "none since the start"]);
  if (last?.hint) facts.push(["What to do", last.hint]);
  keep(byId("key"), facts, {
    key: ([name]) => name,
    create: ([name]) => make("div", {}, make("dt", {}, name), make("dd", {})),
    update: (fact, [name, value]) => name !== "In use" && say(fact.children[1], value),
  });
}

/** What counts on between two views. */
export function ageKey(view, now) {
  const { key } = view.health;
  const used = byId("key").children[2];
  if (used) say(used.children[1], `for ${lasting(now - key.since)}, since ${moment(key.since)}`);
}
