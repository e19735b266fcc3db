/** Dart with the package http. */

import { jsonOf, KEY, partsOf, text } from "./parts.js";
import { dart } from "./strings.js";

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const json = jsonOf(request);
  const parts = partsOf(request);
  const kind = parts ? "MultipartRequest" : "Request";
  return text(
    "import 'dart:convert';\nimport 'dart:io';\n\nimport 'package:http/http.dart' as http;\n",
    "Future<void> main() async {",
    `  final request = http.${kind}(${dart(request.method)}, Uri.parse(${dart(request.url)}));`,
    `  request.headers['Authorization'] = 'Bearer \${Platform.environment['${KEY}']}';`,
    ...request.headers.map(([name, value]) => `  request.headers[${dart(name)}] = ${dart(value)};`),
    json !== null && `  request.body = ${dart(json)};`,
    parts && parts.map(partOf).join("\n"),
    "  final response = await request.send();",
    request.stream
      ? "  await response.stream.transform(utf8.decoder).forEach(stdout.write);"
      : "  print(await response.stream.bytesToString());",
    "}",
  );
}

/** @param {{ name: string, value?: string, file?: string }} part */
function partOf(part) {
  return part.file === undefined
    ? `  request.fields[${dart(part.name)}] = ${dart(part.value ?? "")};`
    : `  request.files.add(await http.MultipartFile.fromPath(${dart(part.name)}, ${dart(part.file)}));`;
}
