/** What of a body a form would not say again: a `null`, an empty list, a name it has no field for. */

/**
 * The first name whose value would be another, or be gone.
 * @param {any} written @param {any} said what the form makes of it
 * @returns {string | null}
 */
export function lostOf(written, said) {
  if (written === undefined || isKept(written, said)) return null;
  if (!isObject(written) || !isObject(said)) return "Body";
  return Object.keys(written).find((name) => !hasKept(written, said, name)) ?? null;
}

/** A form may add what must be there. @param {any} written @param {any} said @returns {boolean} */
function isKept(written, said) {
  if (!isObject(written) || !isObject(said)) return written === said;
  if (Array.isArray(written) !== Array.isArray(said)) return false;
  if (Array.isArray(written) && written.length !== said.length) return false;
  return Object.keys(written).every((name) => hasKept(written, said, name));
}

/** @param {any} written @param {any} said @param {string} name */
function hasKept(written, said, name) {
  return Object.hasOwn(said, name) && isKept(written[name], said[name]);
}

/** @param {any} value */
function isObject(value) {
  return typeof value === "object" && value !== null;
}
