/** Times, sizes and sums, as people read them. */

/** @param {number | null | undefined} seconds unix seconds */
export function clockTime(seconds) {
  if (!seconds) return "—";
  return new Date(seconds * 1000).toLocaleTimeString([], {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
}

/** @param {number | null | undefined} seconds unix seconds */
export function dateTime(seconds) {
  if (!seconds) return "—";
  const date = new Date(seconds * 1000);
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday
    ? clockTime(seconds)
    : date.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

/** The API tells whole seconds, so less than one is all that can be said. @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "—";
  if (seconds < 1) return "< 1 s";
  // Of the whole seconds, or there would be sixty of them beside the minutes.
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** @param {number | null | undefined} count */
export function number(count) {
  return count === null || count === undefined ? "—" : count.toLocaleString("en");
}

/** @param {number | null | undefined} bytes */
export function bytes(bytes) {
  if (bytes === null || bytes === undefined) return "—";
  const units = ["B", "KB", "MB", "GB"];
  let at = 0;
  let value = bytes;
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000;
    at += 1;
  }
  return `${at && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[at]}`;
}

/** @param {number | null} amount @param {string} currency */
export function money(amount, currency) {
  if (amount === null) return "—";
  const digits = amount === 0 || amount >= 1 ? 2 : amount >= 0.01 ? 4 : 6;
  return `${amount.toFixed(digits)} ${currency}`;
}

/** @param {string} id */
export function shortId(id) {
  const [prefix, rest] = id.split(/[_-](.*)/s);
  return rest && rest.length > 10 ? `${prefix}…${rest.slice(-6)}` : id;
}

/** @param {string} text @param {number} most */
export function cut(text, most) {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}
