/** Servers that share batches in NATS: one is killed, and the queue goes away under both. */
import { assert, assertEquals } from "@std/assert";
import { pause } from "../../src/base/pause.ts";
import { BatchCluster } from "../bench/batch_cluster.ts";
import { isWhole, runWithFaults } from "../bench/batch_faults.ts";
import { natsMissing } from "../support/nats_server.ts";

const skipped = natsMissing === null ? "" : ` [skipped: ${natsMissing}]`;

Deno.test({
  name: `two servers on one queue, of which a kill -9 takes one, and the queue away${skipped}`,
  ignore: natsMissing !== null,
  fn: async (t) => {
    await using cluster = await BatchCluster.start({
      ...{ kind: "NATS", replicaCount: 2, concurrency: 2, leaseSeconds: 2 },
    });
    await t.step("40 jobs: each has its one result", () => runJobs(cluster));
    await t.step(
      "without its queue a server answers live requests, and says when batches may come",
      () => askWithoutQueue(cluster),
    );
  },
});

/** The short form of `deno task bench:batches`. */
async function runJobs(cluster: BatchCluster): Promise<void> {
  const report = await runWithFaults(cluster, {
    ...{ jobCount: 40, maxTokens: 48 },
    isKillDue: ({ doneCount, kills }) => doneCount > 0 && kills === 0,
    isQueueKillDue: ({ doneCount }) => doneCount >= 20,
  });
  assert(isWhole(report), JSON.stringify(report));
  assertEquals([report.kills, report.queueKills], [1, 1]);
}

async function askWithoutQueue(cluster: BatchCluster): Promise<void> {
  const [{ url }] = cluster.replicas;
  const { data: before } = await cluster.askJson<{ data: unknown[] }>("/v1/files");
  await cluster.nats!.kill();
  const refused = await untilRefused(`${url}/v1/files`);
  assertEquals(refused.headers.get("retry-after"), "5");
  assertEquals((await refused.json()).error.code, "queue_unavailable");
  const chat = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ messages: [{ role: "user", content: "Hello" }], max_tokens: 4 }),
  });
  assertEquals([chat.status, (await chat.json()).choices.length], [200, 1]);
  assertEquals((await (await fetch(`${url}/readyz`)).text()).length > 0, true);
  await cluster.nats!.start();
  const { data } = await cluster.askJson<{ data: unknown[] }>("/v1/files");
  assert(before.length > 0 && data.length === before.length, "its files are there again");
}

async function untilRefused(url: string): Promise<Response> {
  for (const endMs = Date.now() + 30_000;;) {
    const response = await fetch(url);
    if (response.status === 503) return response;
    await response.body?.cancel();
    assert(Date.now() < endMs, `${url} is not refused: ${response.status}`);
    await pause(20);
  }
}
