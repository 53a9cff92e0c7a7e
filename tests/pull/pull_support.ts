/** What tests of downloads share: a model, a folder, and short waits. */
import { assertEquals } from "@std/assert";
import { type PulledModel, pullModel, type PullOptions } from "../../src/pull/mod.ts";
import { sha256 } from "./sha256.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { type Answer, type Ask, type FaultyServer, serveFaulty } from "./faulty_server.ts";

/** 3 MB: some spans of some pieces. */
export const MODEL: Uint8Array<ArrayBuffer> = tinyModel({ feedForwardLength: 2048 });
export const OTHER_MODEL: Uint8Array<ArrayBuffer> = tinyModel({ feedForwardLength: 2048, seed: 9 });
export const MODEL_SHA256: string = sha256(MODEL);

/** Waits that tests can bear. */
export const QUICK = {
  pieceBytes: 128 << 10,
  spanBytes: 512 << 10,
  retryMs: 1,
  stallMs: 5_000,
} as const satisfies Partial<PullOptions>;

export interface Pulling {
  readonly folder: string;
  readonly server: FaultyServer;
  /** Pulls /tiny.gguf. */
  pull(options?: Partial<PullOptions>): Promise<PulledModel>;
  readonly notices: string[];
}

/** A server, and an empty folder. */
export async function withPulling(
  answer: (ask: Ask) => Answer,
  use: (pulling: Pulling) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  await using server = serveFaulty(answer);
  const notices: string[] = [];
  const onNotice = (text: string) => void notices.push(text);
  const pull = (options: Partial<PullOptions> = {}) =>
    pullModel(`${server.url}/tiny.gguf`, { folder, ...QUICK, onNotice, ...options });
  try {
    await use({ folder, server, pull, notices });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** An honest answer. */
export function honest(body: Uint8Array = MODEL): Answer {
  return { body, headers: { etag: `"${sha256(body).slice(0, 16)}"` } };
}

/** Fails unless the model is there, whole, and nothing else. */
export async function assertPulled(folder: string, bytes: Uint8Array = MODEL): Promise<void> {
  assertEquals(await names(folder), [".partial", "tiny.gguf", "tiny.source.json"]);
  assertEquals(await names(`${folder}/.partial`), []);
  assertEquals(sha256(await Deno.readFile(`${folder}/tiny.gguf`)), sha256(bytes));
}

/** What a folder holds. */
export async function names(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  return entries.map(({ name }) => name).sort();
}
