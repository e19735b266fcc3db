/** C with libcurl. */

import { jsonOf, KEY, partsOf, text } from "./parts.js";
import { c } from "./strings.js";

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const json = jsonOf(request);
  const parts = partsOf(request);
  const headers = request.headers.map(([name, value]) => `    headers = curl_slist_append(headers, ${c(`${name}: ${value}`)});`);
  return text(
    "/* cc main.c -lcurl */",
    "#include <curl/curl.h>\n#include <stdio.h>\n#include <stdlib.h>\n",
    "int main(void) {",
    "    char authorization[8192];",
    `    const char *key = getenv("${KEY}");`,
    '    snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", key ? key : "");',
    "    curl_global_init(CURL_GLOBAL_DEFAULT);",
    "    CURL *curl = curl_easy_init();",
    "    struct curl_slist *headers = curl_slist_append(NULL, authorization);",
    headers.length > 0 && headers.join("\n"),
    `    curl_easy_setopt(curl, CURLOPT_URL, ${c(request.url)});`,
    `    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, ${c(request.method)});`,
    "    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);",
    json !== null && `    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, ${c(json)});`,
    parts && `    curl_mime *form = curl_mime_init(curl);\n    curl_mimepart *part;\n${parts.map(partOf).join("\n")}\n    curl_easy_setopt(curl, CURLOPT_MIMEPOST, form);`,
    "    /* The answer goes to standard output as it comes. */",
    "    CURLcode result = curl_easy_perform(curl);",
    '    if (result != CURLE_OK) fprintf(stderr, "%s\\n", curl_easy_strerror(result));',
    parts && "    curl_mime_free(form);",
    "    curl_slist_free_all(headers);",
    "    curl_easy_cleanup(curl);",
    "    curl_global_cleanup();",
    "    return result == CURLE_OK ? 0 : 1;",
    "}",
  );
}

/** @param {{ name: string, value?: string, file?: string }} part */
function partOf(part) {
  const content = part.file === undefined
    ? `    curl_mime_data(part, ${c(part.value ?? "")}, CURL_ZERO_TERMINATED);`
    : `    curl_mime_filedata(part, ${c(part.file)});`;
  return `    part = curl_mime_addpart(form);\n    curl_mime_name(part, ${c(part.name)});\n${content}`;
}
