/** Java 11 and later, with its own HTTP client. */

import { BOUNDARY, headOf, jsonOf, KEY, partsOf, text } from "./parts.js";
import { ascii16 } from "./strings.js";

/** Java takes 65,535 bytes as one constant, and six for a character beyond the first plane. */
const MOST = /.{1,10000}/gsu;

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const json = jsonOf(request);
  const parts = partsOf(request);
  const publisher = json !== null
    ? `HttpRequest.BodyPublishers.ofString(${literal(json)})`
    : parts
      ? "HttpRequest.BodyPublishers.ofByteArray(body.toByteArray())"
      : "HttpRequest.BodyPublishers.noBody()";
  return text(
    parts && "import java.io.ByteArrayOutputStream;",
    "import java.net.URI;",
    "import java.net.http.HttpClient;",
    "import java.net.http.HttpRequest;",
    "import java.net.http.HttpResponse;",
    parts && "import java.nio.charset.StandardCharsets;\nimport java.nio.file.Files;\nimport java.nio.file.Path;",
    "\npublic class Main {",
    "    public static void main(String[] args) throws Exception {",
    parts && `        var body = new ByteArrayOutputStream();\n${parts.map(partOf).join("\n")}\n        body.write(${ascii16(`--${BOUNDARY}--\r\n`)}.getBytes(StandardCharsets.UTF_8));`,
    `        var request = HttpRequest.newBuilder(URI.create(${ascii16(request.url)}))`,
    `            .header("Authorization", "Bearer " + System.getenv("${KEY}"))`,
    ...request.headers.map(([name, value]) => `            .header(${ascii16(name)}, ${ascii16(value)})`),
    parts && `            .header("Content-Type", ${ascii16(`multipart/form-data; boundary=${BOUNDARY}`)})`,
    `            .method(${ascii16(request.method)}, ${publisher})`,
    "            .build();",
    "        var client = HttpClient.newHttpClient();",
    request.stream
      ? "        var response = client.send(request, HttpResponse.BodyHandlers.ofLines());\n        response.body().forEach(System.out::println);"
      : "        var response = client.send(request, HttpResponse.BodyHandlers.ofString());\n        System.out.println(response.body());",
    "    }",
    "}",
  );
}

/** Joined when it runs: what is added with `+` is one constant again. @param {string} value */
function literal(value) {
  const pieces = (value.match(MOST) ?? [""]).map(ascii16);
  return pieces.length > 1 ? `String.join("", ${pieces.join(", ")})` : pieces[0];
}

/** @param {{ name: string, value?: string, file?: string }} part */
function partOf(part) {
  const head = `        body.write(${ascii16(headOf(part))}.getBytes(StandardCharsets.UTF_8));\n`;
  const content = part.file === undefined
    ? `${ascii16(part.value ?? "")}.getBytes(StandardCharsets.UTF_8)`
    : `Files.readAllBytes(Path.of(${ascii16(part.file)}))`;
  return `${head}        body.write(${content});\n        body.write("\\r\\n".getBytes(StandardCharsets.UTF_8));`;
}
