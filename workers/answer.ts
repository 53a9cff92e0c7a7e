/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** A thread's side of the protocol: takes calls, runs handlers, sends replies. */
import { RequestError } from "../src/base/errors.ts";
import type { CallMessage, CallName, Calls, ErrorData, ReplyMessage } from "./protocol.ts";

/** What a thread can do; the ones it cannot are refused. */
export type Handlers = {
  [K in CallName]?: (
    params: Calls[K]["params"],
  ) => Calls[K]["result"] | Promise<Calls[K]["result"]>;
};

/** Answers calls from now on. */
export function answerCalls(worker: string, handlers: Handlers): void {
  self.onmessage = async (event: MessageEvent<CallMessage>) => {
    const { call, id, params } = event.data;
    try {
      const handler = handlers[call] as ((params: unknown) => unknown) | undefined;
      if (handler === undefined) throw new Error(`${worker} does not answer "${call}"`);
      reply({ kind: "result", id, result: await handler(params) });
    } catch (error) {
      reply({ kind: "error", id, error: errorData(error, worker) });
    }
  };
}

/** Says goodbye and ends this thread. */
export function leave(): void {
  reply({ kind: "bye" });
  self.close();
}

/** Sends a message to the main thread; what is in `transfer` is moved, not copied. */
export function reply(message: ReplyMessage, transfer: Transferable[] = []): void {
  self.postMessage(message, transfer);
}

/** An error as data, with what its class carries. */
export function errorData(error: unknown, worker: string): ErrorData {
  const e = error instanceof Error ? error : new Error(String(error));
  const { offsetBytes, path } = e as { offsetBytes?: unknown; path?: unknown };
  return {
    name: e.name,
    message: e.message,
    stack: e.stack ?? "",
    worker,
    ...(typeof offsetBytes === "number" ? { offsetBytes } : {}),
    ...(typeof path === "string" ? { path } : {}),
    ...(e instanceof RequestError ? { request: { status: e.status, code: e.code } } : {}),
  };
}
