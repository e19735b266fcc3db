/** Addresses behind the hash: they never reach a server, and a link to one holds no secret. */

/** @typedef {{ room: string, path: string[], query: URLSearchParams }} Place */

/** @returns {Place} */
export function here() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [room, ...rest] = path.split("/").filter(Boolean).map(decode);
  return { room: room ?? "", path: rest, query: new URLSearchParams(query ?? "") };
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @param {string[]} path @param {[string, string][] | Record<string, string>} [query] */
export function to(path, query = []) {
  const told = new URLSearchParams(query).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${told ? `?${told}` : ""}`;
}

/** @param {string} address */
export function go(address) {
  location.hash = address;
}

/** Change what the address says without going anywhere. @param {string} address */
export function say(address) {
  history.replaceState(null, "", address);
}
