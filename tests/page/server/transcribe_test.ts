import { assertEquals } from "@std/assert";
import { Client } from "../../../src/page/server/client.ts";
import { transcribe } from "../../../src/page/server/transcribe.ts";

Deno.test("transcribe() sends the sound and the model's name as a form, and gives the text", async () => {
  const { fetch } = globalThis;
  const sent: unknown[] = [];
  globalThis.fetch = (path, init) => {
    const form = init!.body as FormData;
    sent.push(path, init!.method, form.get("model"), (form.get("file") as File).name);
    return Promise.resolve(Response.json(sent.length > 4 ? {} : { text: "So it is." }));
  };
  try {
    const client = new Client({ askKey: () => Promise.resolve(null) });
    const file = new File(["x"], "recording.webm");
    const { signal } = new AbortController();
    assertEquals(await transcribe(client, { file, model: "ears" }, signal), "So it is.");
    assertEquals(sent, ["/v1/audio/transcriptions", "POST", "ears", "recording.webm"]);
    assertEquals(await transcribe(client, { file, model: "ears" }, signal), "");
  } finally {
    globalThis.fetch = fetch;
  }
});
