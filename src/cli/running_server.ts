/** A server that runs already, as other verbs talk to it: over HTTP, like any client. */
import { type Command, InvalidArgumentError } from "commander";
import { fetchReason } from "../base/network_errors.ts";
import { wholeNumber } from "./option_values.ts";

/** What `addServerAddress` parses. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly url?: string;
  readonly apiKey?: string;
}

/** Adds the flags that say where the server is. */
export function addServerAddress(verb: Command): Command {
  return verb
    .option("--host <address>", "address of the server", "127.0.0.1")
    .option("--port <n>", "port of the server", wholeNumber({ min: 1, max: 65535 }), 11711)
    .option("--url <url>", "where the server is, instead of --host and --port", webAddress)
    .option("--api-key <key>", "a key that the server knows");
}

/** "http://host:port" → itself. */
function webAddress(text: string): string {
  if (/^https?:\/\/./i.test(text) && URL.canParse(text)) return text;
  throw new InvalidArgumentError("An address is needed, such as http://127.0.0.1:11711.");
}

/** How long a server may take to answer. */
const TIMEOUT_MS = 30_000;

/**
 * Asks the server; `body` is posted, nothing is got.
 * @throws {Error} when it is not there, or refuses.
 */
export async function askServer(
  { host, port, url, apiKey }: ServerAddress,
  path: string,
  body?: Readonly<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  const base = url?.replace(/\/+$/, "") ??
    `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  // An address to listen on is none to connect to.
  const target = base.replace("//0.0.0.0:", "//127.0.0.1:") + path;
  let response: Response;
  try {
    response = await fetch(target, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        "content-type": "application/json",
        ...apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    const reason = fetchReason(error);
    throw new Error(`Cannot reach a server at ${base}: ${reason}: start one with ganglion serve`);
  }
  if (response.status === 401) {
    throw new Error(
      `Cannot ask the server at ${base}: it wants a key: give one that it knows with --api-key`,
    );
  }
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok && typeof answer === "object" && answer !== null) {
    return answer as Record<string, unknown>;
  }
  const { error } = Object(answer) as { error?: { message?: unknown } };
  throw new Error(
    `Cannot ask ${base}${path}: ${error?.message ?? `it answered ${response.status}`}`,
  );
}
