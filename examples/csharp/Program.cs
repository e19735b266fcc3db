// Ask, poll, and read the answer and its steps, with .NET's own library.
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

var baseUrl = Environment.GetEnvironmentVariable("OPENAI_BASE_URL") ?? "http://127.0.0.1:8000/v1";
using var client = new HttpClient();
client.DefaultRequestHeaders.Authorization =
    new AuthenticationHeaderValue("Bearer", Environment.GetEnvironmentVariable("OPENAI_API_KEY"));
client.DefaultRequestHeaders.Add("OpenAI-Beta", "assistants=v2");

var assistant = await Post("/assistants", new { model = "gpt-4o" });
var run = await Post("/threads/runs", new
{
    assistant_id = Text(assistant, "id"),
    thread = new { messages = new[] { new { role = "user", content = "Good morning." } } },
});
var thread = $"/threads/{Text(run, "thread_id")}";
var path = $"{thread}/runs/{Text(run, "id")}";
while (Text(run, "status") is "queued" or "in_progress")
{
    await Task.Delay(100);
    run = await Get(path);
}
Console.WriteLine(Text(run, "status"));

var messages = await Get($"{thread}/messages");
Console.WriteLine(messages.GetProperty("data")[0].GetProperty("content")[0].GetProperty("text").GetProperty("value"));
foreach (var step in (await Get($"{path}/steps")).GetProperty("data").EnumerateArray())
{
    Console.WriteLine($"{Text(step, "type")} {Text(step, "status")}");
}

async Task<JsonElement> Post(string where, object body)
{
    var answer = await client.PostAsJsonAsync(baseUrl + where, body);
    answer.EnsureSuccessStatusCode();
    return await answer.Content.ReadFromJsonAsync<JsonElement>();
}

async Task<JsonElement> Get(string where) => await client.GetFromJsonAsync<JsonElement>(baseUrl + where);

static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;
