/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** A thread's side of the protocol: takes calls, runs handlers, sends replies. */
import { RequestError } from "../src/base/errors.ts";
import type { CallMessage, CallName, Calls, ErrorData, ReplyMessage } from "./protocol.ts";

/** How a call is answered that its handler leaves open by returning null. */
export interface LaterAnswer<R> {
  /** What is in `transfer` is moved, not copied. */
  done(result: R, transfer?: Transferable[]): void;
  failed(error: unknown): void;
}

/** What a thread can do; the ones it cannot are refused. */
export type Handlers = {
  [K in CallName]?: (
    params: Calls[K]["params"],
    later: LaterAnswer<Calls[K]["result"]>,
  ) => Calls[K]["result"] | Promise<Calls[K]["result"]> | null;
};

/** Answers calls from now on. onMessage: called before each of them. */
export function answerCalls(
  worker: string,
  handlers: Handlers,
  onMessage: () => void = () => {},
): void {
  self.onmessage = async (event: MessageEvent<CallMessage>) => {
    onMessage();
    const { call, id, params } = event.data;
    const later: LaterAnswer<unknown> = {
      done: (result, transfer) => reply({ kind: "result", id, result }, transfer),
      failed: (error) => reply({ kind: "error", id, error: errorData(error, worker) }),
    };
    try {
      const handler = handlers[call] as
        | ((params: unknown, later: LaterAnswer<unknown>) => unknown)
        | undefined;
      if (handler === undefined) throw new Error(`${worker} does not answer "${call}"`);
      const result = handler(params, later);
      // What is known at once is said at once: this thread may be blocked for long right after.
      const value = result instanceof Promise ? await result : result;
      if (value !== null) later.done(value);
    } catch (error) {
      later.failed(error);
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
    ...(e instanceof RequestError
      ? { request: { status: e.status, code: e.code, param: e.param } }
      : {}),
  };
}
