/** Ruby with its standard library. */

import { jsonOf, KEY, partsOf, text } from "./parts.js";
import { single } from "./strings.js";

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const json = jsonOf(request);
  const parts = partsOf(request);
  const kind = request.method.charAt(0) + request.method.slice(1).toLowerCase();
  return text(
    "require 'net/http'\n",
    `uri = URI(${single(request.url)})`,
    `request = Net::HTTP::${kind}.new(uri)`,
    `request['Authorization'] = "Bearer #{ENV['${KEY}']}"`,
    ...request.headers.map(([name, value]) => `request[${single(name)}] = ${single(value)}`),
    json !== null && `request.body = ${single(json)}`,
    parts && `request.set_form([\n${parts.map(partOf).join("\n")}\n], 'multipart/form-data')`,
    "",
    "Net::HTTP.start(uri.host, uri.port, use_ssl: uri.scheme == 'https', read_timeout: 600) do |http|",
    request.stream
      ? "  http.request(request) do |response|\n    response.read_body { |chunk| print chunk }\n  end"
      : "  puts http.request(request).body",
    "end",
  );
}

/** @param {{ name: string, value?: string, file?: string }} part */
function partOf(part) {
  return part.file === undefined
    ? `  [${single(part.name)}, ${single(part.value ?? "")}],`
    : `  [${single(part.name)}, File.open(${single(part.file)}, 'rb')],`;
}
