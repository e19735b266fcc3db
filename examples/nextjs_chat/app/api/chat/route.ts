// The keys stay here. A thread keeps the talk; the answer goes out as it comes, as plain text.
import OpenAI from "openai";

type Said = { text: string; threadId?: string };

// Made at the first request, so that a build needs no key. OPENAI_BASE_URL is read from the environment.
let assistant: Promise<{ client: OpenAI; id: string }> | undefined;

function ready() {
  assistant ??= (async () => {
    const client = new OpenAI();
    const made = await client.beta.assistants.create({
      model: "gpt-4o",
      instructions: "You are a friend. Be brief.",
    });
    return { client, id: made.id };
  })();
  return assistant;
}

export async function POST(request: Request): Promise<Response> {
  const { text, threadId }: Said = await request.json();
  const { client, id } = await ready();
  const { threads } = client.beta;
  const thread = threadId ?? (await threads.create()).id;
  await threads.messages.create(thread, { role: "user", content: text });
  const stream = threads.runs.stream(thread, { assistant_id: id });
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const encoder = new TextEncoder();
      stream.on("textDelta", (delta) => controller.enqueue(encoder.encode(delta.value ?? "")));
      stream.on("end", () => controller.close());
      stream.on("error", (error) => controller.error(error));
    },
    cancel: () => stream.abort(),
  });
  return new Response(body, { headers: { "content-type": "text/plain", "x-thread-id": thread } });
}
