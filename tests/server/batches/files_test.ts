/** `/v1/files` by OpenAI's client, and by those who mean no good. */
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { BadRequestError, NotFoundError, toFile } from "openai";
import { pause } from "../../../src/base/pause.ts";
import {
  type BatchServer,
  clientOf,
  linesOf,
  say,
  submit,
  untilStatus,
  upload,
  withBatches,
} from "./batch_server.ts";

Deno.test("OpenAI's client uploads, lists, reads and deletes files", () =>
  withBatches(async ({ client }) => {
    const file = await upload(client, "first\n");
    assertEquals(
      { ...file, created_at: 0, id: file.id.slice(0, 5) },
      {
        ...{ id: "file-", object: "file", bytes: 6, created_at: 0 },
        ...{ filename: "jobs.jsonl", purpose: "batch", status: "processed" },
      },
    );
    const other = await upload(client, "second\n");
    assertEquals(await client.files.retrieve(file.id), file);
    const ids = await Array.fromAsync(client.files.list({ limit: 1, order: "asc" }), (f) => f.id);
    assertEquals(ids, [file.id, other.id]);
    assertEquals((await client.files.list({ purpose: "batch_output" })).data, []);
    const content = await client.files.content(file.id);
    assertEquals(content.headers.get("content-type"), "application/octet-stream");
    assertEquals(await content.text(), "first\n");
    assertEquals(await client.files.delete(file.id), {
      ...{ id: file.id, object: "file", deleted: true },
    });
    await assertRejects(() => client.files.retrieve(file.id), NotFoundError);
    await assertRejects(() => client.files.content(file.id), NotFoundError);
  }));

Deno.test("files pass through without being held, whole: a client waits for the disk", () =>
  withBatches(async ({ client, server, store }) => {
    const piece = new Uint8Array(2 ** 20).fill(120);
    let [sent, taken, most] = [0, 0, 0];
    const { put } = store.files;
    store.files.put = (head, content) => put.call(store.files, head, slowly(content));
    async function* slowly(content: AsyncIterable<Uint8Array>) {
      for await (const each of content) {
        yield each;
        // A disk that takes its time in the middle.
        if (taken < 2 ** 24 && taken + each.length >= 2 ** 24) await pause(500);
        taken += each.length;
      }
    }
    const form = formOf(async function* () {
      for (let n = 0; n < 64; n++) {
        yield await piece;
        sent += piece.length;
        most = Math.max(most, sent - taken);
      }
    });
    const response = await fetch(`${server.url}/v1/files`, { method: "POST", ...form });
    const { id, bytes } = await response.json();
    assertEquals(bytes, 64 * 2 ** 20);
    // What the system's sockets hold is most of it.
    assert(most < 32 * 2 ** 20, `${most} bytes were held`);
    const content = (await client.files.content(id)).body!;
    let length = 0;
    for await (const each of content) length += each.length;
    assertEquals(length, bytes);
  }, { fileBytesMax: 2 ** 28 }));

const HEAD = `content-disposition: form-data; name="file"; filename="a.jsonl"`;
const PURPOSE = `content-disposition: form-data; name="purpose"\r\n\r\nbatch`;
const TYPE = "multipart/form-data; boundary=b";

/** A form with a file of these pieces, sent as they come. */
function formOf(pieces: () => AsyncIterable<Uint8Array>) {
  const encode = (text: string) => new TextEncoder().encode(text);
  async function* all() {
    yield encode(`--b\r\n${PURPOSE}\r\n--b\r\n${HEAD}\r\n\r\n`);
    yield* pieces();
    yield encode("\r\n--b--\r\n");
  }
  return { body: ReadableStream.from(all()), headers: { "content-type": TYPE } };
}

const FORMS: readonly [why: string, status: number, param: string | null, body: string][] = [
  ["no file", 400, "file", `--b\r\n${PURPOSE}\r\n--b--\r\n`],
  ["no purpose", 400, "purpose", `--b\r\n${HEAD}\r\n\r\nx\r\n--b--\r\n`],
  [
    "another purpose behind the file",
    400,
    "purpose",
    `--b\r\n${HEAD}\r\n\r\nx\r\n--b\r\n${PURPOSE.replace("batch", "vision")}\r\n--b--\r\n`,
  ],
  [
    "expires_after",
    400,
    "expires_after[seconds]",
    `--b\r\n${PURPOSE}\r\n--b\r\n${
      PURPOSE.replace("purpose", "expires_after[seconds]").replace("batch", "9")
    }\r\n--b\r\n${HEAD}\r\n\r\nx\r\n--b--\r\n`,
  ],
  ["an empty file", 400, "file", `--b\r\n${PURPOSE}\r\n--b\r\n${HEAD}\r\n\r\n\r\n--b--\r\n`],
  [
    "a file of another name",
    400,
    "other",
    `--b\r\n${HEAD.replace(`"file"`, `"other"`)}\r\n\r\nx\r\n--b--\r\n`,
  ],
  [
    "a file without a name",
    400,
    "",
    `--b\r\n${HEAD.replace(`name="file"; `, "")}\r\n\r\nx\r\n--b--`,
  ],
  ["broken off in the file", 400, null, `--b\r\n${PURPOSE}\r\n--b\r\n${HEAD}\r\n\r\nx`],
  ["broken off in a head", 400, null, `--b\r\ncontent-dispo`],
  ["nothing", 400, null, ""],
  ["no form", 400, null, "{}"],
  ["a head too long", 400, null, `--b\r\n${"x".repeat(60_000)}`],
  ["an endless head", 413, null, `--b\r\n${"x".repeat(200_000)}`],
  [
    "too long",
    413,
    null,
    `--b\r\n${PURPOSE}\r\n--b\r\n${HEAD}\r\n\r\n${"x".repeat(1001)}\r\n--b--\r\n`,
  ],
];

Deno.test("a form that is not as it must be is refused, and nothing of it is kept", () =>
  withBatches(async (context) => {
    for (const [why, status, param, body] of FORMS) {
      const answer = await postForm(context, body, TYPE);
      assertEquals([answer.status, answer.error.param], [status, param], why);
    }
    for (const type of ["application/json", "multipart/form-data", "multipart/mixed; boundary=b"]) {
      assertEquals((await postForm(context, "{}", type)).error.code, "invalid_form");
    }
    await assertNothingKept(context);
  }, { fileBytesMax: 1000 }));

Deno.test("a file that stops coming is given up, and one whose client leaves", () =>
  withBatches(async (context) => {
    const silent = formOf(async function* () {
      yield new TextEncoder().encode("x");
      await new Promise(() => {});
    });
    const url = `${context.server.url}/v1/files`;
    const response = await fetch(url, { method: "POST", ...silent });
    assertEquals([response.status, (await response.json()).error.code], [408, "body_timeout"]);
    const stop = new AbortController();
    const leaving = formOf(async function* () {
      yield new TextEncoder().encode("x");
      stop.abort();
      await new Promise(() => {});
    });
    await assertRejects(() => fetch(url, { method: "POST", signal: stop.signal, ...leaving }));
    await new Promise((resolve) => setTimeout(resolve, 300));
    await assertNothingKept(context);
  }, { bodyTimeoutMs: 200 }));

Deno.test("a file that comes a byte at a time is given up, one that takes its time is not", () =>
  withBatches(async ({ server }) => {
    const ask = async (bytes: Uint8Array, count: number) => {
      const form = formOf(async function* () {
        for (let n = 0; n < count; n++) {
          yield bytes;
          await pause(50);
        }
      });
      const response = await fetch(`${server.url}/v1/files`, { method: "POST", ...form });
      const { error } = await response.json();
      return [response.status, error?.message];
    };
    const reason = "Cannot read the body: it comes at less than 16 KiB/s";
    assertEquals(await ask(new Uint8Array(1), 40), [408, reason]);
    assertEquals(await ask(new Uint8Array(4096), 10), [200, undefined]);
  }, { bodyTimeoutMs: 300 }));

Deno.test("a file that is still coming keeps no batch waiting", () =>
  withBatches(async ({ client, server }) => {
    const [begun, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const form = formOf(async function* () {
      for (let n = 0; n < 3; n++) yield await new Uint8Array(1);
      begun.resolve();
      await held.promise;
    });
    const coming = fetch(`${server.url}/v1/files`, { method: "POST", ...form });
    await begun.promise;
    const underWay = async () =>
      /^ganglion_requests_under_way (\d+)/m.exec(
        await (await fetch(`${server.url}/metrics`)).text(),
      );
    for (const endMs = Date.now() + 5000; (await underWay())?.[1] !== "1";) {
      assertLess(Date.now(), endMs);
      await pause(10);
    }
    const startMs = performance.now();
    const { id } = await submit(client, linesOf([say("Hi")]));
    await untilStatus(client, id, "completed");
    // A server that is busy begins with it after 10 s all the same.
    assertLess(performance.now() - startMs, 5000);
    held.resolve();
    assertEquals((await (await coming).json()).bytes, 3);
  }));

Deno.test("names of files are text, whatever is in them; ids that cannot be are nobody's", () =>
  withBatches(async ({ client, server }) => {
    for (const name of ["../../etc/passwd", "ä\u202e\u0007.jsonl", "x".repeat(5000)]) {
      const file = await toFile(new Uint8Array([123]), name);
      const { id, filename } = await client.files.create({ file, purpose: "batch" });
      assert(filename.length <= 255 && !filename.includes("/"), filename);
      assertEquals(await (await client.files.content(id)).text(), "{");
    }
    for (const id of ["..%2f..%2fbatches.sqlite", "%00", "a".repeat(500), "';--", "file-"]) {
      const response = await fetch(`${server.url}/v1/files/${id}/content`);
      assertEquals([response.status, (await response.json()).error.code], [404, "file_not_found"]);
    }
    const purpose = "vision" as const;
    const create = async () =>
      await client.files.create({ file: await toFile(new Uint8Array([1]), "a"), purpose });
    assertEquals((await assertRejects(create, BadRequestError)).param, "purpose");
    assertEquals((await clientOf(server).files.list()).data.length, 3);
  }));

async function postForm({ server }: BatchServer, body: string, type: string) {
  const headers = { "content-type": type };
  const response = await fetch(`${server.url}/v1/files`, { method: "POST", body, headers });
  const { error } = await response.json();
  return { status: response.status, error };
}

/** Neither to be seen, nor on the disk. */
async function assertNothingKept({ client, store }: BatchServer): Promise<void> {
  assertEquals((await client.files.list()).data, []);
  assertEquals((await store.files.list({ owner: "", limit: 10 })).items, []);
}
