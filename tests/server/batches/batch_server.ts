/** What tests of files and batches share: a server with a store, and OpenAI's client. */
import { assert } from "@std/assert";
import OpenAI, { toFile } from "openai";
import { pause } from "../../../src/base/pause.ts";
import type { BatchStore } from "../../../src/batch/batch_store.ts";
import type {
  AppOptions,
  BatchSettings,
  RunningServer,
  ServeOptions,
} from "../../../src/server/mod.ts";
import { withSqliteStore } from "../../batch/sqlite_world.ts";
import type { ScriptedModel, ScriptedModelOptions } from "../../support/scripted_model.ts";
import { withServer } from "../http_client.ts";

export const CHAT = "/v1/chat/completions";

export interface BatchServer {
  readonly client: OpenAI;
  readonly server: RunningServer;
  readonly model: ScriptedModel;
  readonly store: BatchStore;
}

/** A server that keeps batches for the time of `use`. */
export async function withBatches(
  use: (context: BatchServer) => Promise<void>,
  { script = {}, concurrency = 2, fileBytesMax = 2 ** 20, batchesPerKey, ...options }:
    & { script?: ScriptedModelOptions }
    & Partial<Pick<BatchSettings, "concurrency" | "fileBytesMax" | "batchesPerKey">>
    & Partial<AppOptions>
    & Pick<ServeOptions, "drainMs"> = {},
): Promise<void> {
  await withSqliteStore(async (store) => {
    const batches = { store, concurrency, fileBytesMax, batchesPerKey };
    await withServer(
      script,
      async ({ server, model }) => {
        await use({ client: clientOf(server), server, model, store });
      },
      { ...options, batches },
    );
  });
}

export function clientOf({ url }: RunningServer, apiKey = "none"): OpenAI {
  return new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0 });
}

/** Lines of an input file that ask `endpoint`. */
export function linesOf(bodies: readonly unknown[], endpoint = CHAT): string {
  return bodies.map((body, index) =>
    JSON.stringify({ custom_id: `job-${index}`, method: "POST", url: endpoint, body }) + "\n"
  ).join("");
}

/** A conversation of one message. */
export function say(content: string) {
  return { messages: [{ role: "user", content }] };
}

export async function upload(client: OpenAI, text: string) {
  const file = await toFile(new TextEncoder().encode(text), "jobs.jsonl");
  return await client.files.create({ file, purpose: "batch" });
}

export async function submit(
  client: OpenAI,
  text: string,
  endpoint: OpenAI.BatchCreateParams["endpoint"] = CHAT,
) {
  const { id } = await upload(client, text);
  return await client.batches.create({
    ...{ input_file_id: id, endpoint, completion_window: "24h" },
  });
}

export async function untilStatus(
  client: OpenAI,
  id: string,
  status: OpenAI.Batch["status"],
): Promise<OpenAI.Batch> {
  for (const endMs = Date.now() + 30_000;;) {
    const batch = await client.batches.retrieve(id);
    if (batch.status === status) return batch;
    assert(Date.now() < endMs, `it is ${batch.status}, not ${status}: ${JSON.stringify(batch)}`);
    await pause(20);
  }
}

/** The lines of a file. */
// deno-lint-ignore no-explicit-any
export async function readLines(client: OpenAI, id: string | undefined): Promise<any[]> {
  assert(id, "there is a file");
  const text = await (await client.files.content(id)).text();
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}
