/** Swift 5.7 and later, with Foundation. */

import { BOUNDARY, headOf, jsonOf, KEY, partsOf, text } from "./parts.js";
import { swift } from "./strings.js";

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const json = jsonOf(request);
  const parts = partsOf(request);
  return text(
    "import Foundation\n",
    `var request = URLRequest(url: URL(string: ${swift(request.url)})!)`,
    `request.httpMethod = ${swift(request.method)}`,
    `let key = ProcessInfo.processInfo.environment[${swift(KEY)}] ?? ""`,
    `request.setValue("Bearer \\(key)", forHTTPHeaderField: "Authorization")`,
    ...request.headers.map(([name, value]) => `request.setValue(${swift(value)}, forHTTPHeaderField: ${swift(name)})`),
    json !== null && `request.httpBody = Data(${swift(json)}.utf8)`,
    parts && `request.setValue(${swift(`multipart/form-data; boundary=${BOUNDARY}`)}, forHTTPHeaderField: "Content-Type")\nvar body = Data()\n${parts.map(partOf).join("\n")}\nbody.append(Data(${swift(`--${BOUNDARY}--\r\n`)}.utf8))\nrequest.httpBody = body`,
    "",
    // Not `bytes.lines`: those end at U+2028 and others as well, and blank ones are left out.
    request.stream
      ? "let (bytes, _) = try await URLSession.shared.bytes(for: request)\nfor try await byte in bytes {\n    FileHandle.standardOutput.write(Data([byte]))\n}"
      : "let (data, _) = try await URLSession.shared.data(for: request)\nprint(String(decoding: data, as: UTF8.self))",
  );
}

/** @param {{ name: string, value?: string, file?: string }} part */
function partOf(part) {
  const content = part.file === undefined ? `Data(${swift(part.value ?? "")}.utf8)` : `try Data(contentsOf: URL(fileURLWithPath: ${swift(part.file)}))`;
  return `body.append(Data(${swift(headOf(part))}.utf8))\nbody.append(${content})\nbody.append(Data("\\r\\n".utf8))`;
}
