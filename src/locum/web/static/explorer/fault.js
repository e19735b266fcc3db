/** Where a text stops being JSON: each browser words that in its own way, and some do not say where. */

const BLANK = /[ \t\n\r]*/y;
const PLAIN = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null/y;

/** What is nested deeper is told to be no JSON there. */
const DEEPEST = 1000;

/** @param {string} text @returns {string | null} the line and the column, as people count */
export function fault(text) {
  try {
    JSON.parse(text);
    return null;
  } catch {
    const before = text.slice(0, new Reader(text).end()).split("\n");
    return `line ${before.length}, column ${/** @type {string} */ (before.at(-1)).length + 1}`;
  }
}

/** Reads values for as long as they are JSON. */
class Reader {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.depth = 0;
  }

  /** How far the text is JSON. */
  end() {
    if (this.#value()) this.#take(BLANK);
    return this.at;
  }

  /** @returns {boolean} whether there is a whole value; if not, `at` is where it fails */
  #value() {
    this.#take(BLANK);
    if (this.#has("{")) return this.#members("}", () => this.#pair());
    if (this.#has("[")) return this.#members("]", () => this.#value());
    return this.#take(PLAIN);
  }

  #pair() {
    this.#take(BLANK);
    if (this.text[this.at] !== '"' || !this.#take(PLAIN)) return false;
    this.#take(BLANK);
    return this.#has(":") && this.#value();
  }

  /** @param {string} close @param {() => boolean} member @returns {boolean} */
  #members(close, member) {
    this.#take(BLANK);
    if (this.#has(close)) return true;
    if (this.depth >= DEEPEST) return false;
    this.depth += 1;
    do {
      if (!member()) return false;
      this.#take(BLANK);
    } while (this.#has(","));
    this.depth -= 1;
    return this.#has(close);
  }

  /** @param {string} character */
  #has(character) {
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  /** @param {RegExp} pattern */
  #take(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.test(this.text);
    if (found) this.at = pattern.lastIndex;
    return found;
  }
}
