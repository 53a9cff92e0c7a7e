import { assertEquals } from "@std/assert";
import { Admission } from "../../src/server/admission.ts";
import { CHAT, hello, post, testApp, withServer } from "./http_client.ts";

Deno.test("Admission is idle when the last one has left", async () => {
  const admission = new Admission();
  await admission.idle();
  admission.enter();
  admission.enter();
  let isIdle = false;
  const idle = admission.idle().then(() => isIdle = true);
  admission.leave();
  await Promise.resolve();
  assertEquals([admission.underWay, isIdle], [1, false]);
  admission.leave();
  await idle;
});

Deno.test("admit() answers 503 beyond its bound, and reading always", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { app, model } = testApp({ script: [promise, "x"] }, { requestsMax: 1 });
  const running = post(app, CHAT, hello);
  await model.until((counters) => counters.started === 1);
  const refused = await post(app, CHAT, hello);
  assertEquals([refused.status, refused.headers.get("retry-after")], [503, "1"]);
  assertEquals((await refused.json()).error.code, "too_many_requests_under_way");
  assertEquals((await app.request("/v1/models")).status, 200);
  assertEquals((await app.request("/metrics")).status, 200);
  resolve();
  assertEquals((await running).status, 200);
  assertEquals((await post(app, CHAT, hello)).status, 200);
});

Deno.test("admit() counts a streamed answer until its last byte", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const script = { script: ["x", promise] };
  await withServer(script, async ({ server }) => {
    const send = (body: unknown) =>
      fetch(server.url + CHAT, { method: "POST", body: JSON.stringify(body) });
    const stream = await send({ ...hello, stream: true });
    const refused = await send(hello);
    assertEquals(refused.status, 503);
    await refused.body?.cancel();
    resolve();
    await stream.text();
    const next = await send(hello);
    assertEquals(next.status, 200);
    await next.body?.cancel();
  }, { requestsMax: 1 });
});
