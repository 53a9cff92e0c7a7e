/**
 * What llm-d and the Gateway API Inference Extension expect of a model server: three gauges with a
 * model's name, health that means what it says, and a way out that loses nothing.
 */
import { assert, assertEquals } from "@std/assert";
import { Lifecycle, ServerMetrics } from "../../src/server/mod.ts";
import { CHAT, hello, post, testApp } from "./http_client.ts";

type App = ReturnType<typeof testApp>["app"];

async function gauges(app: App): Promise<Record<string, string>> {
  const text = await (await app.request("/metrics")).text();
  const found: Record<string, string> = {};
  for (const name of ["num_requests_waiting", "num_requests_running", "kv_cache_usage_perc"]) {
    assert(text.includes(`# TYPE vllm:${name} gauge\n`), name);
    const sample = new RegExp(`^vllm:${name}\\{model_name="scripted"\\} (\\S+)$`, "m").exec(text);
    if (sample !== null) found[name] = sample[1];
  }
  return found;
}

const statuses = async (app: App) =>
  await Promise.all(["/livez", "/health", "/readyz"].map(async (path) => {
    const response = await app.request(path);
    await response.body?.cancel();
    return response.status;
  }));

Deno.test("a scheduler sees what runs and what waits, by model", async () => {
  const gate = Promise.withResolvers<void>();
  const { app, model } = testApp(
    { script: ["a", gate.promise, "b"] },
    { metrics: new ServerMetrics({ compat: "vllm" }) },
  );
  const before = await gauges(app);
  assertEquals([before.num_requests_running, before.num_requests_waiting], ["0", "0"]);
  const answers = [1, 2, 3].map(() => post(app, CHAT, hello));
  while (model.load.running + model.load.waiting < 3) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const during = await gauges(app);
  assertEquals([during.num_requests_running, during.num_requests_waiting], ["1", "2"]);
  gate.resolve();
  for (const answer of await Promise.all(answers)) {
    assertEquals(answer.status, 200);
    await answer.body?.cancel();
  }
});

Deno.test("a server on its way out is alive and well, not ready, refuses new work and ends its own", async () => {
  const gate = Promise.withResolvers<void>();
  const lifecycle = new Lifecycle();
  const { app } = testApp({ script: ["a", gate.promise, "b"] }, { lifecycle });
  assertEquals(await statuses(app), [200, 200, 200]);
  const running = post(app, CHAT, hello);
  await new Promise((resolve) => setTimeout(resolve, 1));
  lifecycle.drain();
  assertEquals(await statuses(app), [200, 200, 503]);
  const refused = await post(app, CHAT, hello);
  assertEquals(refused.status, 503);
  assert(Number(refused.headers.get("retry-after")) > 0);
  await refused.body?.cancel();
  gate.resolve();
  const body = await (await running).json();
  assertEquals(body.choices[0].message.content, "ab");
});
