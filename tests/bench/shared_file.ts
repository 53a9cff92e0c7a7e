/**
 * Three servers of one host on one packed file, one started after the other: what each has the disk
 * read, with `--file-cache` off, on and auto, and whether they answer the same.
 * `deno task bench:shared-file [MODEL.ganglion] [flags of serve]`; without a model it packs the
 * built-in one. Linux only; exits with 1 when answers differ.
 */
import { BUILT_IN_MODEL_PATH } from "../../src/llm/mod.ts";
import { formatBytes } from "../../src/base/units.ts";
import { packFile } from "../../src/pack/mod.ts";
import { freePort } from "../support/free_port.ts";
import { evict } from "./page_cache.ts";
import { Replica } from "./replica_processes.ts";

const SERVERS = 3;
const PROMPT = "Once upon a time there was";
const ANSWER_TOKENS = 32;

async function main([model, ...flags]: readonly string[]): Promise<boolean> {
  const folder = await Deno.makeTempDir();
  try {
    const path = model ?? await packBuiltIn(`${folder}/model.ganglion`);
    console.log(`${path}, ${formatBytes(Deno.statSync(path).size)} ${flags.join(" ")}`);
    const texts = new Set<string>();
    for (const mode of ["off", "on", "auto"]) {
      for (const text of await serveThrice(path, ["--file-cache", mode, ...flags])) {
        texts.add(text);
      }
    }
    console.log(texts.size === 1 ? "All answered the same." : "ANSWERS DIFFER");
    return texts.size === 1;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function packBuiltIn(out: string): Promise<string> {
  await packFile({ input: BUILT_IN_MODEL_PATH, out, stats: null, alignBytes: 64 });
  return out;
}

/** Starts the servers, with nothing of the file in the cache before; what each of them says. */
async function serveThrice(path: string, flags: readonly string[]): Promise<string[]> {
  await evict([path]);
  const texts: string[] = [];
  const servers = Array.from(
    { length: SERVERS },
    () => new Replica(freePort(), [path, ...flags, "--ctx-size", "512"]),
  );
  try {
    for (const [index, server] of servers.entries()) {
      await server.start();
      const loaded = await readBytes(server);
      texts.push(await complete(server.url));
      const answered = await readBytes(server) - loaded;
      console.log(
        `${flags[1].padEnd(4)} server ${index + 1}: read_bytes ${megabytes(loaded)} to load, ` +
          `${megabytes(answered)} for ${ANSWER_TOKENS} tokens`,
      );
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
  return texts;
}

/** What the process has had the disk read; by a tool, for Deno lets few look into /proc. */
async function readBytes({ processId }: Replica): Promise<number> {
  const { stdout } = await new Deno.Command("cat", { args: [`/proc/${processId}/io`] }).output();
  const [, bytes] = /^read_bytes: (\d+)$/m.exec(new TextDecoder().decode(stdout))!;
  return Number(bytes);
}

async function complete(url: string): Promise<string> {
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt: PROMPT, max_tokens: ANSWER_TOKENS, temperature: 0, seed: 7 }),
  });
  return (await response.json()).choices[0].text;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

if (import.meta.main) Deno.exit(await main(Deno.args) ? 0 : 1);
