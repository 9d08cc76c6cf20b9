// Reads server-sent events with fetch, since EventSource cannot send a token.

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 15_000;
// The server says something every 15 s: after more than two silences the connection is dead.
const SILENCE = 40_000;

/** Takes texts as they arrive, gives whole events. Pure. */
export class Parser {
  #rest = "";

  /** @returns {{name: string, data: string}[]} the events that are complete now */
  take(text) {
    const blocks = (this.#rest + text).replaceAll("\r\n", "\n").split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.map(read).filter((event) => event !== null);
  }
}

function read(block) {
  let name = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  return data.length ? { name, data: data.join("\n") } : null;
}

/**
 * A stream that comes back by itself.
 *
 * @param path where it is
 * @param headers () => the headers to send
 * @param heard (name, value) => called for each event
 * @param changed (state, {wait, why}) => "connecting", "live", "lost" or "locked" (a token is needed)
 */
export class Stream {
  #stop = null;
  #timer = 0;
  #failures = 0;

  constructor(path, { headers, heard, changed }) {
    this.path = path;
    this.headers = headers;
    this.heard = heard;
    this.changed = changed;
  }

  /** Connect, now, whatever was before. */
  open() {
    this.close();
    const stop = new AbortController();
    this.#stop = stop;
    this.changed("connecting", {});
    this.#run(stop.signal);
  }

  close() {
    clearTimeout(this.#timer);
    this.#stop?.abort();
    this.#stop = null;
  }

  async #run(signal) {
    let why = "the connection was closed";
    try {
      const response = await fetch(this.path, { headers: this.headers(), signal, cache: "no-store" });
      if (response.status === 401) {
        this.changed("locked", {});
        return;
      }
      if (!response.ok) throw new Error(await reason(response));
      await this.#read(response.body.getReader(), signal);
    } catch (error) {
      why = error.message;
    }
    if (!signal.aborted) this.#again(why);
  }

  async #read(reader, signal) {
    const decoder = new TextDecoder();
    const parser = new Parser();
    for (;;) {
      const { done, value } = await within(reader.read(), SILENCE, reader);
      if (done || signal.aborted) return;
      for (const event of parser.take(decoder.decode(value, { stream: true }))) {
        this.#failures = 0;
        this.heard(event.name, JSON.parse(event.data));
      }
    }
  }

  #again(why) {
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#failures) * (0.75 + Math.random() / 2);
    this.#failures += 1;
    this.changed("lost", { wait, why });
    this.#timer = setTimeout(() => this.open(), wait);
  }
}

async function within(promise, milliseconds, reader) {
  let timer = 0;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error("the server has fallen silent"));
      reader.cancel().catch(() => {});
    }, milliseconds);
  });
  try {
    return await Promise.race([promise, silence]);
  } finally {
    clearTimeout(timer);
  }
}

async function reason(response) {
  try {
    const body = await response.json();
    return body.error?.message ?? `the server said ${response.status}`;
  } catch {
    return `the server said ${response.status}`;
  }
}
