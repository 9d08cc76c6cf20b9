// Two small line charts over the same minutes: how full the windows are, how many requests wait.

import { make } from "./elements.js";
import { count, percent } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 40;
const RIGHT = 6;
const TOP = 8;
const BOTTOM = 18;

function draw(tag, attributes, text = "") {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text) element.textContent = text;
  return element;
}

/** The points of the last minutes. */
export class History {
  limits = [];
  points = [];
  kept = 900;

  /** Take over what the server remembers. */
  replace({ limits, points, kept_s: kept }) {
    this.limits = limits;
    this.points = points;
    this.kept = kept;
  }

  /** @param fills the used part of each window, in the order of `limits` */
  add(now, { limits, queued, fills }) {
    if (limits.join("\n") !== this.limits.join("\n")) {
      this.limits = limits;
      this.points = [];
    }
    this.points.push([now, queued, ...fills]);
    // The last one before the edge stays: its line comes in from the left.
    while (this.points.length > 1 && this.points[1][0] < now - this.kept) this.points.shift();
  }

  last() {
    return this.points.at(-1);
  }
}

/** A chart of some lines in an element; `draw` paints it anew. */
class Chart {
  constructor(title, height) {
    this.height = height;
    this.title = title;
    this.svg = draw("svg", { role: "img", height, class: "chart" });
    this.legend = make("p", { class: "legend" });
    this.element = make("figure", {}, make("figcaption", {}, title, this.legend), this.svg);
  }

  /**
   * @param lines [{name, at}]: `at` is the place of its value in a point
   * @param top the value at the upper edge
   * @param written (value) => how the axis says it
   */
  draw(history, now, { lines, top, written }) {
    const width = this.svg.clientWidth;
    if (width < LEFT + RIGHT + 20) return;
    const x = (time) => LEFT + Math.max(0, 1 - (now - time) / history.kept) * (width - LEFT - RIGHT);
    const y = (value) => TOP + (1 - Math.min(1, value / top)) * (this.height - TOP - BOTTOM);
    const parts = [...this.#grid(history, width, { x, y, top, written, now })];
    lines.forEach(({ at }, number) => {
      const path = steps(history.points, { at, x, y, now });
      if (path) parts.push(draw("path", { d: path, class: `line line-${number % 6}` }));
    });
    this.svg.replaceChildren(...parts);
    const last = history.last();
    const told = lines.map(({ name, at }) => `${name}: ${last ? written(last[at]) : "none"}`);
    this.svg.setAttribute("aria-label", `${this.title}, now ${told.join(", ")}`);
    this.#name(lines);
  }

  *#grid(history, width, { x, y, top, written, now }) {
    for (const value of [0, top / 2, top]) {
      yield draw("line", { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value), class: "grid" });
      yield draw("text", { x: LEFT - 6, y: y(value) + 4, class: "axis end" }, written(value));
    }
    for (let minutes = 0; minutes <= history.kept / 60; minutes += 5) {
      const place = minutes === 0 ? "end" : minutes * 60 >= history.kept ? "start" : "middle";
      const text = minutes === 0 ? "now" : `−${minutes} min`;
      yield draw("text", { x: x(now - minutes * 60), y: this.height - 3, class: `axis ${place}` }, text);
    }
  }

  #name(lines) {
    const names = lines.map(({ name }) => name);
    if (this.named === names.join("\n")) return;
    this.named = names.join("\n");
    const keys = lines.length < 2 ? [] : names.map((name, number) => {
      const sample = draw("svg", { width: 22, height: 8, "aria-hidden": "true" });
      sample.append(draw("path", { d: "M0 4H22", class: `line line-${number % 6}` }));
      return make("span", {}, sample, ` ${name}`);
    });
    this.legend.replaceChildren(...keys);
  }
}

/** A line that keeps each value until the next one. */
function steps(points, { at, x, y, now }) {
  let path = "";
  for (const point of points) {
    const [px, py] = [x(point[0]).toFixed(1), y(point[at] ?? 0).toFixed(1)];
    path += path ? `H${px}V${py}` : `M${px} ${py}`;
  }
  return path && `${path}H${x(now).toFixed(1)}`;
}

/** The next of 4, 10, 20, 40, 100 …: a top whose half is a whole number. */
function roundTop(value) {
  for (let power = 1; ; power *= 10) {
    for (const one of [4, 10, 20]) if (value <= one * power) return one * power;
  }
}

/** Both charts. */
export class Charts {
  constructor(container) {
    this.fill = new Chart("Used part of each window", 150);
    this.queue = new Chart("Requests waiting", 96);
    container.append(this.fill.element, this.queue.element);
  }

  draw(history, now) {
    const lines = history.limits.map((name, number) => ({ name, at: number + 2 }));
    this.fill.element.hidden = lines.length === 0;
    if (lines.length) this.fill.draw(history, now, { lines, top: 1, written: percent });
    const most = history.points.reduce((all, point) => Math.max(all, point[1]), 0);
    this.queue.draw(history, now, { lines: [{ name: "waiting", at: 1 }], top: roundTop(most), written: count });
  }
}
