/** What `serve` writes to stderr: lines for people on a terminal, JSON for machines elsewhere. */
import { Log } from "../../base/log.ts";
import type { RegistryEvent } from "../../models/mod.ts";
import { writeErrorLine, writeErrorsLater } from "../output.ts";
import type { ServerFlags } from "./serve_options.ts";

/** Disposed: lines that are not written yet are, if somebody reads them. */
export interface ServeLog extends AsyncDisposable {
  readonly log: Log;
  readonly isForPeople: boolean;
  /** Tells whoever started the server something. */
  announce(text: string): void;
}

export function createServeLog({ logFormat, logLevel }: ServerFlags): ServeLog {
  const form = logFormat ?? (Deno.stderr.isTerminal() ? "text" : "json");
  const isForPeople = form === "text";
  const log = new Log({ level: logLevel, form, write: writeErrorLine });
  const announce = (text: string) =>
    isForPeople ? writeErrorLine(text) : log.info("notice", { text });
  const later = writeErrorsLater((lines) => log.warn("log lines lost", { lines }));
  return { log, isForPeople, announce, [Symbol.asyncDispose]: () => later[Symbol.asyncDispose]() };
}

/** Writes down what the registry did. */
export function logRegistryEvent(log: Log, event: RegistryEvent): void {
  if (event.kind === "loaded") {
    log.info("model loaded", { model: event.id, ms: Math.round(event.ms), bytes: event.bytes });
  } else if (event.kind === "unloaded") {
    log.info("model unloaded", { model: event.id, reason: event.reason });
  } else log.error("model not loaded", event.error, { model: event.id });
}
