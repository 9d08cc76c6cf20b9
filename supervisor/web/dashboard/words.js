// Numbers and lengths of time as people read them. Pure.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export function count(value) {
  return whole.format(value ?? 0);
}

/** 1,234 stays, 1,234,567 becomes 1.2M. */
export function amount(value) {
  return Math.abs(value ?? 0) < 100_000 ? count(value) : short.format(value);
}

/** US dollars; small sums keep their digits. */
export function money(value) {
  const usd = value ?? 0;
  if (usd > 0 && usd < 0.00005) return "<$0.0001";
  return `$${usd === 0 || usd >= 1 ? usd.toFixed(2) : usd.toFixed(4)}`;
}

export function percent(part) {
  return `${Math.round((part ?? 0) * 100)} %`;
}

/** Seconds as "0.4 s", "42 s", "3 min 5 s", "2 h 10 min", "4 d 3 h". */
export function duration(seconds) {
  const all = Math.max(0, seconds ?? 0);
  if (all < 9.95) return `${all.toFixed(all < 0.0995 && all >= 0.005 ? 2 : 1)} s`;
  const rounded = Math.round(all);
  if (rounded < 60) return `${rounded} s`;
  if (rounded < 3600) return two(rounded, 60, "min", 1, "s");
  if (rounded < 86_400) return two(rounded, 3600, "h", 60, "min");
  return two(rounded, 86_400, "d", 3600, "h");
}

/** As `duration`, but whole seconds: for what counts on by itself. */
export function lasting(seconds) {
  return seconds < 9.95 ? `${Math.max(0, Math.floor(seconds))} s` : duration(Math.floor(seconds));
}

function two(value, large, largeName, small, smallName) {
  const rest = Math.floor((value % large) / small);
  return `${Math.floor(value / large)} ${largeName}${rest ? ` ${rest} ${smallName}` : ""}`;
}

/** Unix seconds as a date and time of this place. */
export function moment(unix) {
  return new Date(unix * 1000).toLocaleString();
}

/** `backing_off` as "backing off". */
export function plain(name) {
  return String(name).replaceAll("_", " ");
}
