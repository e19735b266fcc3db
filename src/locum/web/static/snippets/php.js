/** PHP with curl. */

import { jsonOf, KEY, partsOf, text } from "./parts.js";
import { single } from "./strings.js";

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const json = jsonOf(request);
  const parts = partsOf(request);
  const headers = request.headers.map(([name, value]) => `        ${single(`${name}: ${value}`)},`);
  return text(
    "<?php\n",
    `$curl = curl_init(${single(request.url)});`,
    "curl_setopt_array($curl, [",
    `    CURLOPT_CUSTOMREQUEST => ${single(request.method)},`,
    `    CURLOPT_HTTPHEADER => [\n        'Authorization: Bearer ' . getenv('${KEY}'),`,
    headers.length > 0 && headers.join("\n"),
    "    ],",
    json !== null && `    CURLOPT_POSTFIELDS => ${single(json)},`,
    parts && `    CURLOPT_POSTFIELDS => [\n${parts.map(partOf).join("\n")}\n    ],`,
    request.stream
      ? "    CURLOPT_WRITEFUNCTION => function ($curl, $chunk) {\n        echo $chunk;\n        flush();\n        return strlen($chunk);\n    },"
      : "    CURLOPT_RETURNTRANSFER => true,",
    "]);",
    request.stream ? "curl_exec($curl);" : "$response = curl_exec($curl);\nif ($response === false) {\n    throw new RuntimeException(curl_error($curl));\n}\necho $response, PHP_EOL;",
  );
}

/** @param {{ name: string, value?: string, file?: string }} part */
function partOf(part) {
  const value = part.file === undefined ? single(part.value ?? "") : `new CURLFile(${single(part.file)})`;
  return `        ${single(part.name)} => ${value},`;
}
