// Puts values into the page. Only ever as text: what others wrote can bring no markup.

export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`expected an element #${id}, found none`);
  return element;
}

/** An element with attributes and children; texts become text nodes. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Change an element's text, if it is another one. */
export function say(element, text) {
  const wanted = String(text ?? "");
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Change an attribute, if it is another one; null removes it. */
export function mark(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

/**
 * Make a container's children those of a list, and keep the elements of items that stay: whoever
 * has the focus or reads in one is not disturbed.
 *
 * @param container where they are; `selector` tells which of its children are ours
 * @param items the list
 * @param key (item) => a text of its own
 * @param create (item) => an element
 * @param update (element, item) => changes the element
 */
export function keep(container, items, { key, create, update, selector = "[data-key]" }) {
  const old = new Map();
  for (const child of container.querySelectorAll(`:scope > ${selector}`)) old.set(child.dataset.key, child);
  let before = null;
  for (const item of items) {
    const name = key(item);
    let element = old.get(name);
    old.delete(name);
    if (!element) {
      element = create(item);
      element.dataset.key = name;
    }
    const next = before ? before.nextElementSibling : container.querySelector(`:scope > ${selector}`);
    if (next !== element) {
      if (before) before.after(element);
      else if (next) next.before(element);
      else container.append(element);
    }
    before = element;
    update(element, item);
  }
  for (const gone of old.values()) gone.remove();
}

/** A row of a table, its cells named after the columns: on a phone each shows its column's name. */
export function row(columns, { head = 0 } = {}) {
  const cells = columns.map(([name, kind], at) => {
    const cell = make(at === head ? "th" : "td", { "data-label": name });
    if (at === head) cell.setAttribute("scope", "row");
    if (kind) cell.className = kind;
    return cell;
  });
  return make("tr", {}, ...cells);
}

export function fill(tr, texts) {
  texts.forEach((text, at) => {
    if (text !== undefined) say(tr.cells[at], text);
  });
}

/** A coloured word for a state. */
export function pill(element, text, mood) {
  say(element, text);
  mark(element, "data-mood", mood);
}

/** A bar that fills; `setMeter` says how far. */
export function meter(label) {
  return make("div", { class: "bar", role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100 }, make("i"));
}

/** @param part 0 to 1, more where it is overfull; `text` says it in words */
export function setMeter(bar, { part, text, mood }) {
  const percent = Math.round(Math.min(1, Math.max(0, part)) * 1000) / 10;
  mark(bar, "aria-valuenow", percent);
  mark(bar, "aria-valuetext", text);
  mark(bar, "data-mood", mood);
  bar.firstElementChild.style.width = `${percent}%`;
}

/** A button that does something and cannot be pressed again before that is done. */
export function button(text, action) {
  const element = make("button", { type: "button" }, text);
  element.addEventListener("click", async () => {
    if (element.getAttribute("aria-busy") === "true") return;
    element.setAttribute("aria-busy", "true");
    try {
      await action(element);
    } finally {
      element.removeAttribute("aria-busy");
    }
  });
  return element;
}
