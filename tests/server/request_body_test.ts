import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { BodyRoom, readJsonObject } from "../../src/server/request_body.ts";
import { CHAT, hello, post, refused, testApp } from "./http_client.ts";

const limits = { bodyBytesMax: 1000, bodyTimeoutMs: 10_000 };

function request(body: BodyInit, headers: HeadersInit = {}): Request {
  return new Request("http://localhost/", { method: "POST", body, headers });
}

Deno.test("readJsonObject() reads objects, whatever their content type", async () => {
  for (const type of ["application/json", "text/plain", "application/x-www-form-urlencoded"]) {
    const given = request(`{"a":1,"a":2}`, { "content-type": type });
    assertEquals(await readJsonObject(given, limits), { a: 2 });
  }
});

Deno.test("readJsonObject() refuses what is not a JSON object in UTF-8", async () => {
  const bad = ["", "{", "[]", "null", "5", `"x"`, "{'a':1}", `{"a":\u0000}`, `{"a":"\u0000"}`];
  for (const body of [...bad, new Uint8Array([0x7b, 0xff, 0x7d])]) {
    const error = await assertRejects(() => readJsonObject(request(body), limits), RequestError);
    assertEquals([error.status, error.code], [400, "invalid_json"]);
  }
});

// fault 43, fault 60: a schema may take long to read, but others have turns between two of them.
Deno.test("readJsonObject() lets others have a turn before each long body", async () => {
  const order: string[] = [];
  let isOver = false;
  const others = (async () => {
    while (!isOver) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      order.push("turn");
    }
  })();
  const body = JSON.stringify({ a: "x".repeat(20_000) });
  const read = () => readJsonObject(request(body), { ...limits, bodyBytesMax: 1 << 20 });
  await Promise.all(Array.from({ length: 4 }, () => read().then(() => order.push("body"))));
  isOver = true;
  await others;
  const bodies = order.join(" ").replace(/^(turn )+/, "").replace(/( turn)+$/, "");
  assertEquals(bodies.replace(/turn( turn)+/g, "turn"), "body turn body turn body turn body");
});

Deno.test("readJsonObject() refuses compressed bodies, and says that they are", async () => {
  const init = (encoding: string) => ({
    ...{ method: "POST", body: `{"a": 2}` },
    headers: { "content-encoding": encoding },
  });
  const plain = new Request("http://localhost", init("identity"));
  assertEquals(await readJsonObject(plain, limits), { a: 2 });
  const packed = new Request("http://localhost", init("gzip"));
  const error = await assertRejects(() => readJsonObject(packed, limits), RequestError, `"gzip"`);
  assertEquals([error.status, error.code], [415, "unsupported_content_encoding"]);
});

Deno.test("readJsonObject() refuses bodies over the limit, declared or not", async () => {
  const long = `{"a":"${"x".repeat(2000)}"}`;
  const undeclared = new Blob([long]).stream();
  const declared = request("{}", { "content-length": "5000" });
  for (const given of [request(long), request(undeclared), declared]) {
    const error = await assertRejects(() => readJsonObject(given, limits), RequestError, "1000");
    assertEquals(error.status, 413);
  }
});

const BASE64 = "iVBORw0KGgo/".repeat(100);
const PART = { type: "image_url", image_url: { url: `data:image/png;base64,${BASE64}` } };
const said = (...content: unknown[]) => ({ messages: [{ role: "user", content }] });

Deno.test("readJsonObject() counts images apart, at the places where an API takes them", async () => {
  const apart = { ...limits, imageBytesMax: 4000 };
  const source = { type: "base64", media_type: "image/png", data: BASE64 };
  const bodies = [
    said({ type: "text", text: "?" }, PART, PART),
    { input: [{ role: "user", content: [{ type: "input_image", image_url: BASE64 }] }] },
    {
      input: [{
        type: "function_call_output",
        output: [{ type: "input_image", image_url: BASE64 }],
      }],
    },
    said({ type: "image", source }),
    said({ type: "input_audio", input_audio: { data: BASE64, format: "wav" } }),
    said({ type: "tool_result", content: [{ type: "image", source }] }),
    { messages: [{ role: "user", content: "?", images: [BASE64, BASE64] }] },
    { prompt: "?", images: [BASE64, BASE64] },
  ];
  for (const body of bodies) {
    assertEquals(await readJsonObject(request(JSON.stringify(body)), apart), body);
    const error = await refusedAs413(JSON.stringify(body), limits);
    assertEquals(error.message.includes("images"), false);
  }
});

Deno.test("readJsonObject() takes nothing for an image that is text somewhere", async () => {
  const apart = { ...limits, imageBytesMax: 4000 };
  const source = { type: "base64", data: BASE64 };
  for (
    const body of [
      { padding: BASE64 },
      { image_url: BASE64, url: BASE64 },
      { messages: [{ role: "user", content: BASE64 }] },
      said({ type: "text", text: BASE64 }),
      said({ type: "text", text: "?", image_url: BASE64 }),
      said({ type: "document", source }),
      said({ type: "tool_use", input: { images: [BASE64] } }),
      { tools: [{ function: { parameters: { images: [BASE64] } } }] },
      said(PART, PART, PART, PART),
    ]
  ) {
    const error = await refusedAs413(JSON.stringify(body), apart);
    assertStringIncludes(error.message, "1000 bytes, and 4000 bytes of images beside it");
  }
});

Deno.test("readJsonObject() does not parse what has more signs than a body may have bytes", async () => {
  const apart = { ...limits, imageBytesMax: 4000 };
  // That it is no JSON would be found by who parses it.
  await refusedAs413("[".repeat(1001), apart);
  await refusedAs413(`{"a":"${"é".repeat(501)}"}`, apart);
  const error = await assertRejects(() => readJsonObject(request("x".repeat(3000)), apart));
  assertEquals((error as RequestError).code, "invalid_json");
});

async function refusedAs413(body: string, of: typeof limits): Promise<RequestError> {
  const error = await assertRejects(() => readJsonObject(request(body), of), RequestError);
  assertEquals([error.status, error.code], [413, "body_too_large"]);
  return error;
}

Deno.test("readJsonObject() gives up on a body that never ends", async () => {
  let isCancelled = false;
  const stuck = new ReadableStream<Uint8Array>({ cancel: () => void (isCancelled = true) });
  const error = await assertRejects(
    () => readJsonObject(request(stuck), { ...limits, bodyTimeoutMs: 5 }),
    RequestError,
    "took longer",
  );
  assertEquals([error.status, isCancelled], [408, true]);
});

Deno.test("readJsonObject() refuses a body for which others leave no room, and gives back its own", async () => {
  const bodyRoom = new BodyRoom(1500);
  const slow = Promise.withResolvers<void>();
  const piece = (text: string) => new TextEncoder().encode(text);
  const half = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(piece(`{"a":"${"x".repeat(900)}`));
      await slow.promise;
      controller.enqueue(piece(`"}`));
      controller.close();
    },
  });
  const arriving = readJsonObject(request(half), { ...limits, bodyRoom });
  while (bodyRoom.bytes === 0) await new Promise((resolve) => setTimeout(resolve));
  const long = () => request(`{"a":"${"y".repeat(800)}"}`);
  const error = await assertRejects(
    () => readJsonObject(long(), { ...limits, bodyRoom }),
    RequestError,
    "busy",
  );
  assertEquals([error.status, error.code, error.retryAfterSeconds], [503, "too_many_bodies", 1]);
  assertEquals(await readJsonObject(request("{}"), { ...limits, bodyRoom }), {});
  slow.resolve();
  await arriving;
  await readJsonObject(long(), { ...limits, bodyRoom });
  const broken = new ReadableStream({
    start(controller) {
      controller.enqueue(piece("{"));
    },
    pull(controller) {
      controller.error(new Error("gone"));
    },
  });
  await assertRejects(() => readJsonObject(request(broken), { ...limits, bodyRoom }));
  assertEquals(bodyRoom.bytes, 0);
});

Deno.test("readJsonObject() puts a body together from pieces of any length", async () => {
  const text = `{"a":"${"äöü".repeat(50)}"}`;
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 7, 100, 1000]) {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) {
          controller.enqueue(bytes.slice(at, at + size));
        }
        controller.close();
      },
    });
    assertEquals(await readJsonObject(request(body), limits), JSON.parse(text));
  }
});

Deno.test("readJsonObject() takes a body that breaks off for the client's fault", async () => {
  const broken = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.error(new Error("reset")),
  });
  const error = await assertRejects(() => readJsonObject(request(broken), limits), RequestError);
  assertEquals([error.status, error.code], [400, "body_incomplete"]);
});

Deno.test("hostile JSON is a 400 or harmless, never a 500", async () => {
  const { app } = testApp();
  const deep = "[".repeat(100_000) + "]".repeat(100_000);
  assertEquals((await refused(app, CHAT, deep)).code, "invalid_json");
  assertEquals((await refused(app, CHAT, `{"messages":${deep}}`)).param, "messages[0]");
  assertEquals(
    (await refused(app, CHAT, `{"messages":[{"role":"user","content":${deep}}]}`)).param,
    "messages[0].content[0]",
  );
  const harmless = [
    JSON.stringify({ ...hello, metadata: null }).replace(`"metadata":null`, `"metadata":${deep}`),
    JSON.stringify({ messages: [{ role: "user", content: "\u0000\ud83d" }] }),
    `{"__proto__":{"messages":[]},"messages":[{"role":"user","content":"x"}]}`,
  ];
  for (const body of harmless) assertEquals((await post(app, CHAT, body)).status, 200);
  const error = await refused(app, CHAT, `{"messages":[{"role":"user","content":"\\u00`);
  assertStringIncludes(error.message, "JSON");
});
