/** Go with its standard library. */

import { jsonOf, KEY, partsOf, text } from "./parts.js";
import { quoted, UNSEEN } from "./strings.js";

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const json = jsonOf(request);
  const parts = partsOf(request);
  const imports = ["io", "net/http", "os", ...(json === null ? [] : ["strings"]), ...(parts ? ["bytes", "mime/multipart"] : [])];
  return text(
    "package main\n",
    `import (\n${imports.sort().map((name) => `\t"${name}"`).join("\n")}\n)\n`,
    "func check(err error) {\n\tif err != nil {\n\t\tpanic(err)\n\t}\n}\n",
    "func main() {",
    json !== null && `\tbody := strings.NewReader(${raw(json)})`,
    parts && `\tbody := &bytes.Buffer{}\n\tform := multipart.NewWriter(body)\n${parts.map((part, at) => partOf(part, at)).join("\n")}\n\tcheck(form.Close())`,
    `\treq, err := http.NewRequest(${quoted(request.method)}, ${quoted(request.url)}, ${json === null && !parts ? "nil" : "body"})`,
    "\tcheck(err)",
    `\treq.Header.Set("Authorization", "Bearer "+os.Getenv("${KEY}"))`,
    ...request.headers.map(([name, value]) => `\treq.Header.Set(${quoted(name)}, ${quoted(value)})`),
    parts && '\treq.Header.Set("Content-Type", form.FormDataContentType())',
    "\tres, err := http.DefaultClient.Do(req)",
    "\tcheck(err)",
    "\tdefer res.Body.Close()",
    `\t_, err = io.Copy(os.Stdout, res.Body)${request.stream ? " // events as they come" : ""}`,
    "\tcheck(err)",
    "}",
  );

  /** @param {string} value */
  function raw(value) {
    return value.search(UNSEEN) >= 0 || value.includes("`") ? quoted(value) : `\`${value}\``;
  }

  /** @param {{ name: string, value?: string, file?: string }} part @param {number} at */
  function partOf(part, at) {
    if (part.file === undefined) return `\tcheck(form.WriteField(${quoted(part.name)}, ${quoted(part.value ?? "")}))`;
    return `\tpart${at}, err := form.CreateFormFile(${quoted(part.name)}, ${quoted(part.file)})\n\tcheck(err)\n\tfile${at}, err := os.Open(${quoted(part.file)})\n\tcheck(err)\n\t_, err = io.Copy(part${at}, file${at})\n\tcheck(err)`;
  }
}
