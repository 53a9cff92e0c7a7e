/** The flags and variables that say how models are fetched. */
import type { Command } from "commander";
import { UsageError } from "../base/errors.ts";
import { DEFAULT_ENDPOINT, type PullOptions } from "../pull/mod.ts";
import { decimal, wholeNumber } from "./option_values.ts";
import { getEnv } from "./settings.ts";

/** What `addPullOptions` parses. */
export interface PullFlags {
  readonly connections?: number;
  readonly stallTimeout?: number;
  readonly retries?: number;
  readonly offline?: boolean;
}

/** Adds them. */
export function addPullOptions(verb: Command): Command {
  return verb
    .option(
      "--connections <n>",
      "requests at once (default: 4)",
      wholeNumber({ min: 1, max: 32 }),
    )
    .option(
      "--stall-timeout <s>",
      "seconds that a server may be silent (default: 30)",
      decimal({ min: 0.1, max: 3600 }),
    )
    .option(
      "--retries <n>",
      "failures in a row that are borne (default: 6)",
      wholeNumber({ max: 1000 }),
    )
    .option("--offline", "ask no server: only what is here already");
}

/** The options of flags, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE. */
export function toPullOptions(
  flags: PullFlags,
): Pick<
  PullOptions,
  "connections" | "stallMs" | "retries" | "offline" | "token" | "endpoint"
> {
  const { connections, stallTimeout, retries } = flags;
  return {
    ...{ connections, retries },
    stallMs: stallTimeout === undefined ? undefined : stallTimeout * 1000,
    offline: flags.offline ?? ["1", "true", "yes", "on"].includes(
      getEnv("HF_HUB_OFFLINE")?.toLowerCase() ?? "",
    ),
    token: readToken(),
    endpoint: readEndpoint(),
  };
}

function readToken(): string | null {
  const token = getEnv("HF_TOKEN")?.trim() ?? null;
  // Anything else would be no header.
  if (token === null || /^[\x21-\x7e]+$/.test(token)) return token;
  throw new UsageError("Cannot use HF_TOKEN: it has characters that no token has");
}

function readEndpoint(): URL {
  const text = getEnv("HF_ENDPOINT");
  if (text === undefined) return DEFAULT_ENDPOINT;
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return new URL(text);
  throw new UsageError(`Cannot use HF_ENDPOINT: ${JSON.stringify(text)} is no address`);
}
