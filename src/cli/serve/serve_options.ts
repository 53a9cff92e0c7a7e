/** The flags of `serve` that say who may ask, how much, and what is told about it. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { join } from "node:path";
import { messageOf, UsageError } from "../../base/errors.ts";
import { readReason } from "../../base/read_errors.ts";
import { checkWritable, explainWriteError } from "../../base/write_errors.ts";
import { LOG_LEVELS, type LogLevel } from "../../base/log.ts";
import { GiB, KiB } from "../../base/units.ts";
import type { NamedAdapter } from "../../llm/mod.ts";
import { addNamedAdapterOption } from "../adapter_options.ts";
import { byteSize, byteSizeFrom, decimal, list, wholeNumber } from "../option_values.ts";

/** What `addServerOptions` parses. */
export interface ServerFlags {
  readonly host: string;
  readonly port: number;
  readonly parallel?: number;
  readonly maxWaiting?: number;
  readonly maxRequests: number;
  readonly requestTimeout?: number;
  readonly maxBody?: number;
  readonly maxImages?: number;
  readonly strictRequests?: boolean;
  readonly thinkingBudget?: number;
  readonly drainTimeout: number;
  readonly allowHosts?: readonly string[];
  readonly allowOrigins?: readonly string[];
  readonly apiKey?: readonly string[];
  readonly apiKeyFile?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly loraModel?: readonly NamedAdapter[];
  readonly modelsDir?: string;
  readonly manageModels?: boolean;
  readonly prefixCache?: string;
  readonly conversations?: string;
  readonly conversationsMax?: number;
  readonly batchFolder?: string;
  readonly batchFolderMax: number;
  readonly queue?: string;
  readonly batchConcurrency: number;
  readonly batchLease: number;
  readonly batchFileMax: number;
  readonly batchesPerKey: number;
  readonly keepAlive?: number;
  readonly metricsCompat?: "vllm";
  readonly logFormat?: "json" | "text";
  readonly logLevel: LogLevel;
  readonly logPrompts?: boolean;
}

/** Of all conversations that are kept, when nobody says. */
const CONVERSATIONS_BYTES = 16 * GiB;

/** As much as OpenAI takes. */
const BATCH_FILE_BYTES = 200 * 10 ** 6;
const BATCH_FOLDER_BYTES = 16 * GiB;

/** Adds them. */
export function addServerOptions(verb: Command): Command {
  return addBatchOptions(addNamedAdapterOption(addRequestOptions(addMainOptions(verb))));
}

/** Those that say what one request may be, and may take. */
function addRequestOptions(verb: Command): Command {
  return verb
    .option(
      "--max-body <size>",
      "the longest body of a request, without images and sounds (default: 8MiB)",
      byteSizeFrom(KiB),
    )
    .option("--max-images <size>", "its images and sounds, in base64 (default: 32MiB)", byteSize)
    .option("--strict-requests", "refuse requests with fields that the server does not know")
    .option(
      "--thinking-budget <n>",
      "tokens that models may think where a request does not say (default: any number)",
      wholeNumber(),
    )
    .option(
      "--request-timeout <s>",
      "seconds that work for a request may take (default: any)",
      // Of 0 no request would be answered; who means "any" leaves it out.
      decimal({ min: 0.001 }),
    );
}

function addMainOptions(verb: Command): Command {
  const count = wholeNumber({ min: 1 });
  const seconds = decimal({ min: 0 });
  return verb
    .option("--host <address>", "address to listen on; 0.0.0.0 is all of them", "127.0.0.1")
    .option("--port <n>", "port to listen on; 0 is any", wholeNumber({ max: 65535 }), 11711)
    .option("--models-dir <folder>", "offer every model file of a folder, too")
    .option(
      "--manage-models",
      "let clients pull models of the hub into that folder, and delete pulled ones (needs " +
        "--allow-write)",
    )
    .option(
      "--keep-alive <time>",
      "how long a model stays in memory unused, such as 5m, 0, or -1 for ever (default: 5m, for " +
        "ever where there is one model only)",
      duration,
    )
    .option(
      "--parallel <n>",
      "requests that a model answers at the same time (default: 4, fewer where memory is short)",
      wholeNumber({ min: 1, max: 64 }),
    )
    .option(
      "--prefix-cache <folder>",
      "keep what was computed of prompts there when it stops, and use it again (needs " +
        "--allow-write)",
    )
    .option(
      "--conversations <folder>",
      "where clients may keep conversations, and go on with them after a restart (needs " +
        "--allow-write)",
    )
    .option("--conversations-max <size>", "what all of them may take (default: 16GiB)", byteSize)
    .option("--max-waiting <n>", "requests that may wait their turn (default: 16)", wholeNumber())
    .option("--max-requests <n>", "requests that work is done for at once", count, 512)
    .option("--drain-timeout <s>", "seconds for running answers when it is stopped", seconds, 30)
    .option("--allow-hosts <names>", "more names that clients may use for this server", list)
    .option("--allow-origins <origins>", "sites whose pages may use the API; * is any", list)
    .option("--api-key <key>", "a key that clients must show; may be given several times", keys)
    .option("--api-key-file <file>", "keys, one a line; read again on SIGHUP")
    .option("--tls-cert <file>", "speak HTTPS with this certificate chain (PEM)")
    .option("--tls-key <file>", "the certificate's key (PEM)")
    .addOption(
      new Option("--metrics-compat <names>", "show metrics under these names, too")
        .choices(["vllm"]),
    )
    .addOption(
      new Option("--log-format <form>", "of the log on stderr (default: text on a terminal)")
        .choices(["json", "text"]),
    )
    .addOption(
      new Option("--log-level <level>", "the least important lines").choices([...LOG_LEVELS])
        .default("info"),
    )
    .option("--log-prompts", "write prompts and answers into the log, too");
}

/** A process may well be busy for so long. */
const LEASE_SECONDS_MIN = 1;

/** Those that say where batches are kept, and how they are worked on. */
function addBatchOptions(verb: Command): Command {
  return verb
    .option(
      "--batch-folder <folder>",
      "keep clients' files and batches there, and work on them when there is time; servers of " +
        "one machine may share it (needs --allow-write)",
    )
    .option(
      "--batch-folder-max <size>",
      "what clients' files may take, all together",
      byteSize,
      BATCH_FOLDER_BYTES,
    )
    .option(
      "--queue <address>",
      "keep them in NATS JetStream instead, which servers on any machines share: " +
        "nats://user:password@host:4222 (in $GANGLION_QUEUE no list of processes shows it)",
    )
    .option(
      "--batch-concurrency <n>",
      "requests of batches that are worked on at once",
      wholeNumber({ min: 1 }),
      2,
    )
    .option(
      "--batch-lease <s>",
      "seconds after which a silent server's requests go to others; the same for all that share",
      decimal({ min: LEASE_SECONDS_MIN }),
      10,
    )
    .option("--batch-file-max <size>", "the longest file of a client", byteSize, BATCH_FILE_BYTES)
    .option(
      "--batches-per-key <n>",
      "batches that a key may have under way; without keys, that all may have together",
      wholeNumber({ min: 1 }),
      100,
    );
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** "5m", "1h30m", "300" (seconds), "0" → milliseconds; anything negative → Infinity. */
export function duration(text: string): number {
  const words = text.trim();
  if (/^-\d/.test(words)) return Infinity;
  if (/^\d+(\.\d+)?$/.test(words)) return Number(words) * 1000;
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(words)) {
    throw new InvalidArgumentError("A time is needed, such as 5m, 90s, 1h30m, 0, or -1 for ever.");
  }
  return [...words.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
    .reduce((sum, [, amount, unit]) => sum + Number(amount) * UNIT_MS[unit], 0);
}

function keys(text: string, before: readonly string[] = []): string[] {
  return [...before, ...list(text)];
}

/**
 * All keys that clients may show; none: nobody is asked for one.
 * @throws {UsageError} when the file cannot be read, or holds none, or the flag does, as where a
 *   shell's variable is empty: that would open the door.
 */
export function readKeys({ apiKey, apiKeyFile }: ServerFlags): string[] {
  if (apiKey?.length === 0) throw new UsageError("Cannot use --api-key: it is empty: give a key");
  if (apiKeyFile === undefined) return [...apiKey ?? []];
  const lines = readText(apiKeyFile, "--api-key-file").split(/\r?\n/).map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (lines.length > 0) return [...apiKey ?? [], ...lines];
  throw new UsageError(`Cannot use --api-key-file: "${apiKeyFile}" holds no key`);
}

/**
 * The folder for conversations, made where it is missing; null: there is to be none.
 * @throws {UsageError} when it cannot be.
 */
export function conversationFolder(
  { conversations: path, conversationsMax: bytesMax = CONVERSATIONS_BYTES }: ServerFlags,
): { readonly path: string; readonly bytesMax: number } | null {
  if (path === undefined) return null;
  return { path: writableFolder(path, "--conversations"), bytesMax };
}

/**
 * Where prompts are kept when the server stops; undefined: nowhere.
 * @throws {UsageError} when nothing could be: that would be known only when it is too late.
 */
export function prefixCacheFolder({ prefixCache: path }: ServerFlags): string | undefined {
  return path === undefined ? undefined : writableFolder(path, "--prefix-cache");
}

/** The folder, made if need be, in which files can come to lie. */
function writableFolder(path: string, flag: string): string {
  try {
    Deno.mkdirSync(path, { recursive: true });
    checkWritable(join(path, "ganglion"));
    return Deno.realPathSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      throw new UsageError(`Cannot use ${flag}: "${path}" is a file: give the path of a folder`);
    }
    const explained = explainWriteError(error, path);
    const reason = messageOf(explained);
    throw new UsageError(`Cannot use ${flag}: ${reason}`);
  }
}

/** @throws {UsageError} when one of the two files is missing. */
export function readTls(
  { tlsCert, tlsKey }: ServerFlags,
): { cert: string; key: string } | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new UsageError("Cannot speak HTTPS: --tls-cert and --tls-key are needed both");
  }
  return { cert: readText(tlsCert, "--tls-cert"), key: readText(tlsKey, "--tls-key") };
}

function readText(path: string, flag: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new UsageError(`Cannot use ${flag} "${path}": ${readReason(error)}`);
  }
}
