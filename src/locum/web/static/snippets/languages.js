/** The languages that the explorer writes, the official clients first. */

import * as c from "./c.js";
import * as csharp from "./csharp.js";
import * as dart from "./dart.js";
import * as go from "./go.js";
import * as http from "./http.js";
import * as java from "./java.js";
import * as javascript from "./javascript.js";
import * as nodeSdk from "./node_sdk.js";
import * as objc from "./objc.js";
import * as ocaml from "./ocaml.js";
import * as php from "./php.js";
import * as python from "./python.js";
import * as pythonSdk from "./python_sdk.js";
import * as r from "./r.js";
import * as ruby from "./ruby.js";
import * as shell from "./shell.js";
import * as swift from "./swift.js";

/** @type {{ id: string, label: string, generate: (request: import("./parts.js").Request) => string }[]} */
export const LANGUAGES = [
  { id: "python_sdk", label: "Python · official SDK", ...pythonSdk },
  { id: "node_sdk", label: "Node · official SDK", ...nodeSdk },
  { id: "shell", label: "Shell (curl)", ...shell },
  { id: "javascript", label: "JavaScript", ...javascript },
  { id: "python", label: "Python (requests)", ...python },
  { id: "java", label: "Java", ...java },
  { id: "swift", label: "Swift", ...swift },
  { id: "go", label: "Go", ...go },
  { id: "php", label: "PHP", ...php },
  { id: "http", label: "HTTP", ...http },
  { id: "c", label: "C", ...c },
  { id: "csharp", label: "C#", ...csharp },
  { id: "objc", label: "Objective-C", ...objc },
  { id: "ruby", label: "Ruby", ...ruby },
  { id: "ocaml", label: "OCaml", ...ocaml },
  { id: "dart", label: "Dart", ...dart },
  { id: "r", label: "R", ...r },
];

/** @param {string} language @param {import("./parts.js").Request} request */
export function snippet(language, request) {
  const found = LANGUAGES.find(({ id }) => id === language) ?? LANGUAGES[0];
  return found.generate(request);
}
