"use client";

import { type FormEvent, useState } from "react";

type Line = { who: "user" | "assistant"; text: string };

export default function Chat() {
  const [lines, setLines] = useState<Line[]>([]);
  const [threadId, setThreadId] = useState<string>();
  const [text, setText] = useState("");

  async function send(event: FormEvent) {
    event.preventDefault();
    setText("");
    setLines((before) => [...before, { who: "user", text }, { who: "assistant", text: "" }]);
    const answer = await fetch("/api/chat", {
      method: "POST",
      body: JSON.stringify({ text, threadId }),
    });
    if (!answer.ok || !answer.body) throw new Error(`The server answered ${answer.status}.`);
    setThreadId(answer.headers.get("x-thread-id") ?? undefined);
    const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let piece = await pieces.read(); !piece.done; piece = await pieces.read()) {
      const more = piece.value;
      setLines((before) => {
        const last = before[before.length - 1];
        return [...before.slice(0, -1), { ...last, text: last.text + more }];
      });
    }
  }

  return (
    <main>
      <h1>Chat</h1>
      <div aria-live="polite">
        {lines.map((line, at) => (
          <p key={at} style={{ fontWeight: line.who === "user" ? 600 : 400 }}>
            {line.text}
          </p>
        ))}
      </div>
      <form onSubmit={send}>
        <input
          aria-label="Your message"
          value={text}
          onChange={(event) => setText(event.target.value)}
          required
        />
        <button>Send</button>
      </form>
    </main>
  );
}
