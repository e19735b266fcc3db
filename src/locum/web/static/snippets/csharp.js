/** C# with HttpClient. */

import { jsonOf, KEY, partsOf, text } from "./parts.js";
import { quoted } from "./strings.js";

/** @param {import("./parts.js").Request} request */
export function generate(request) {
  const json = jsonOf(request);
  const parts = partsOf(request);
  const others = request.headers.filter(([name]) => name !== "Content-Type");
  return text(
    "using System;\nusing System.IO;\nusing System.Net.Http;\nusing System.Net.Http.Headers;\nusing System.Text;\n",
    "using var client = new HttpClient();",
    `using var request = new HttpRequestMessage(new HttpMethod(${quoted(request.method)}), ${quoted(request.url)});`,
    `request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Environment.GetEnvironmentVariable("${KEY}"));`,
    ...others.map(([name, value]) => `request.Headers.Add(${quoted(name)}, ${quoted(value)});`),
    json !== null && `request.Content = new StringContent(${quoted(json)}, Encoding.UTF8, "application/json");`,
    parts && `var form = new MultipartFormDataContent();\n${parts.map(partOf).join("\n")}\nrequest.Content = form;`,
    request.stream
      ? `using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
while (await reader.ReadLineAsync() is { } line)
{
    Console.WriteLine(line);
}`
      : "using var response = await client.SendAsync(request);\nConsole.WriteLine(await response.Content.ReadAsStringAsync());",
  );
}

/** @param {{ name: string, value?: string, file?: string }} part */
function partOf(part) {
  if (part.file === undefined) return `form.Add(new StringContent(${quoted(part.value ?? "")}), ${quoted(part.name)});`;
  return `form.Add(new StreamContent(File.OpenRead(${quoted(part.file)})), ${quoted(part.name)}, ${quoted(part.file)});`;
}
