/** Servers that share a folder of batches, as processes that are killed. */
import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import OpenAI, { toFile } from "openai";
import { pause } from "../../src/base/pause.ts";
import { startCli, withTinyModel } from "../cli/run_cli.ts";
import { finish, Log } from "../cli/server_process.ts";

const JOBS = 200;
const ENDPOINT = "/v1/completions";
/** Jobs long enough for a kill to hit some: a tenth of a second each. */
const TOKENS = 100;

class Server {
  readonly client: OpenAI;
  readonly #child: Deno.ChildProcess;
  readonly #log: Log;

  constructor(url: string, child: Deno.ChildProcess, log: Log) {
    this.client = new OpenAI({ apiKey: "none", baseURL: `${url}/v1`, maxRetries: 0 });
    this.#child = child;
    this.#log = log;
  }

  static async start(model: string, folder: string): Promise<Server> {
    const child = startCli([
      ...["serve", model, "--port", "0", "--threads", "1", "--batch-folder", folder],
    ]);
    await child.stdin.close();
    const log = new Log(child.stderr);
    const [, url] = await log.match(/Serving .* at (http:\/\/127\.0\.0\.1:\d+)/);
    return new Server(url, child, log);
  }

  async end(signal: "SIGKILL" | "SIGTERM"): Promise<Deno.CommandStatus> {
    this.#child.kill(signal);
    return await finish(this.#child, this.#log);
  }
}

Deno.test("kill -9 loses no job of a batch and doubles none, wherever it hits", () =>
  withTinyModel(async (model, home) => {
    const folder = join(home, "batches");
    const [one, two] = await Promise.all([
      Server.start(model, folder),
      Server.start(model, folder),
    ]);
    const prompts = [...Array(JOBS).keys()].map((n) => `say ${n % 7}`);
    const bodies = prompts.map((prompt) => ({ prompt, ...ANSWER }));
    const batch = await submit(one.client, bodies);
    const retrieve = (server: Server) => server.client.batches.retrieve(batch.id);
    await until(async () => done(await retrieve(two)) >= 30);
    await one.end("SIGKILL");
    // While one runs: between two of them there is nothing to be hit.
    await until(async () => done(await retrieve(two)) >= 90 && jobsOf(folder).cut > 0);
    // No process is left: the folder alone knows.
    await two.end("SIGKILL");
    const { done: atMost, cut } = jobsOf(folder);
    assert(atMost < JOBS, "the kill came too late");
    assert(cut > 0, "no kill hit a job that ran");
    const last = await Server.start(model, folder);
    await until(async () => (await retrieve(last)).status === "completed");
    const { output_file_id, error_file_id, request_counts } = await retrieve(last);
    assertEquals(request_counts, { total: JOBS, completed: JOBS, failed: 0 });
    assertEquals(error_file_id ?? null, null);
    const text = await (await last.client.files.content(output_file_id!)).text();
    const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line));
    assertEquals(lines.map((line) => line.custom_id), prompts.map((_, n) => `${n}`));
    const direct = await Promise.all(
      prompts.slice(0, 7).map((prompt) =>
        last.client.completions.create({ model: "", prompt, ...ANSWER })
      ),
    );
    const expected = prompts.map((_, n) => direct[n % 7].choices[0].text);
    assertEquals(lines.map(({ response }) => response.body.choices[0].text), expected);
    assertEquals((await last.end("SIGTERM")).code, 0);
  }, { contextLength: 512 }));

const ANSWER = { max_tokens: TOKENS, temperature: 0, ignore_eos: true };

async function submit(client: OpenAI, bodies: readonly unknown[]): Promise<OpenAI.Batch> {
  const lines = bodies.map((body, n) =>
    JSON.stringify({ custom_id: `${n}`, method: "POST", url: ENDPOINT, body })
  );
  const file = await toFile(new TextEncoder().encode(lines.join("\n")), "jobs.jsonl");
  const { id } = await client.files.create({ file, purpose: "batch" });
  return await client.batches.create({
    ...{ input_file_id: id, endpoint: ENDPOINT, completion_window: "24h" },
  });
}

function done({ request_counts }: OpenAI.Batch): number {
  return request_counts!.completed + request_counts!.failed;
}

/** Jobs that have results, and jobs that a process has begun and not ended. */
function jobsOf(folder: string): { readonly done: number; readonly cut: number } {
  const db = new DatabaseSync(join(folder, "batches.sqlite"), { readOnly: true });
  try {
    const row = db.prepare(
      "SELECT count(result) AS done, coalesce(sum(attempts > 0 AND result IS NULL), 0) AS cut " +
        "FROM jobs",
    ).get()!;
    return { done: Number(row.done), cut: Number(row.cut) };
  } finally {
    db.close();
  }
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (const endMs = Date.now() + 120_000; !await isSo();) {
    assert(Date.now() < endMs, "it never came to that");
    await pause(20);
  }
}
