/** Forms that were damaged: each is taken or refused, at once and with a reason. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { damage, damages, fuzzRuns } from "../support/fuzz.ts";
import { withSqliteStore } from "../batch/sqlite_world.ts";
import { testApp } from "./http_client.ts";

const FORM = [
  "--b",
  `content-disposition: form-data; name="purpose"`,
  "",
  "batch",
  "--b",
  `content-disposition: form-data; name="file"; filename="jobs.jsonl"`,
  "content-type: application/jsonl",
  "",
  `{"custom_id": "a"}`,
  "--b--",
  "",
].join("\r\n");

Deno.test("POST /v1/files takes or refuses whatever a form has become", () =>
  withSqliteStore(async (store) => {
    const batches = { store, concurrency: 1, fileBytesMax: 1000 };
    const { app, errors } = testApp({}, { batches, bodyTimeoutMs: 2000 });
    const form = new TextEncoder().encode(FORM);
    const size = fc.integer({ min: 1, max: form.length });
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(damages(form.length), size, async (changes, pieceBytes) => {
        const bytes = damage(form, changes, form.length);
        const response = await app.request("/v1/files", {
          method: "POST",
          headers: { "content-type": "multipart/form-data; boundary=b" },
          body: ReadableStream.from(cut(bytes, pieceBytes)),
        });
        const answer = await response.json();
        if (response.status === 200) taken++;
        else {
          assert([400, 413].includes(response.status), `${response.status}`);
          assert(answer.error.message.length < 2000);
        }
        assertEquals(errors, []);
      }),
      fuzzRuns(300),
    );
    const { items } = await store.files.list({ owner: "", limit: 1000 });
    assertEquals(items.length, taken);
  }));

async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    yield bytes.slice(at, at + size);
  }
}
