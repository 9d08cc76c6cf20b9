// Asks the HTTP API, with the token of this tab if there is one.

const KEPT_AS = "supervisor-token";

export function headers() {
  const token = sessionStorage.getItem(KEPT_AS);
  return token ? { authorization: `Bearer ${token}` } : {};
}

export function hasToken() {
  return sessionStorage.getItem(KEPT_AS) !== null;
}

export function remember(token) {
  sessionStorage.setItem(KEPT_AS, token);
}

export function forget() {
  sessionStorage.removeItem(KEPT_AS);
}

/** A value of the API. Throws an Error with the server's own words. */
export async function get(path) {
  return answer(await fetch(path, { headers: headers() }));
}

/** Do something. Throws an Error with the server's own words. */
export async function post(path, value = {}) {
  const sent = { ...headers(), "content-type": "application/json" };
  return answer(await fetch(path, { method: "POST", headers: sent, body: JSON.stringify(value) }));
}

async function answer(response) {
  const text = await response.text();
  let value = null;
  try {
    value = JSON.parse(text);
  } catch {
    // A proxy's own page; its status says enough.
  }
  if (response.ok) return value;
  throw new Error(value?.error?.message ?? `the server said ${response.status}`);
}
