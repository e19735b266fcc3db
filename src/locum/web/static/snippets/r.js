/** R with httr2. */

import { jsonOf, KEY, partsOf, text } from "./parts.js";
import { r } from "./strings.js";

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const json = jsonOf(request);
  const parts = partsOf(request);
  const others = request.headers.filter(([name]) => name !== "Content-Type");
  const steps = [
    `request(${r(request.url)})`,
    `req_method(${r(request.method)})`,
    `req_auth_bearer_token(Sys.getenv("${KEY}"))`,
    ...others.map(([name, value]) => `req_headers(${name.includes("-") ? `\`${name}\`` : name} = ${r(value)})`),
  ];
  if (json !== null) steps.push(`req_body_raw(${r(json)}, type = "application/json")`);
  if (parts) steps.push(`req_body_multipart(${parts.map(partOf).join(", ")})`);
  const req = steps.join(" |>\n  ");
  return text(
    "library(httr2)\n",
    request.stream
      ? `connection <- ${req} |>\n  req_perform_connection()\nwhile (!is.null(event <- resp_stream_sse(connection))) {\n  cat(event$type, event$data, "\\n")\n}\nclose(connection)`
      : `response <- ${req} |>\n  req_perform()\n${request.operation.downloads ? "print(length(resp_body_raw(response)))" : "cat(resp_body_string(response), \"\\n\")"}`,
  );
}

/** @param {{ name: string, value?: string, file?: string }} part */
function partOf(part) {
  const name = `\`${part.name.replaceAll("`", "\\`")}\``;
  return `${name} = ${part.file === undefined ? r(part.value ?? "") : `curl::form_file(${r(part.file)})`}`;
}
