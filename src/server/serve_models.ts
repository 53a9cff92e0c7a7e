/** The server as the library shows it: loaded models behind HTTP, with few options. */
import type { LanguageModel } from "../llm/types.ts";
import { ApiKeys } from "./api_keys.ts";
import { loadedModels } from "./model_source.ts";
import { type RunningServer, serve } from "./serve.ts";

/** Where and for whom models are served. Everything may be left out. */
export interface ServeOptions {
  /** Default 11711; 0 = any free port. */
  readonly port?: number;
  /** The name or address to listen on; default "127.0.0.1", this machine alone. */
  readonly hostname?: string;
  /** Keys of which clients must show one; none: nobody is asked. */
  readonly apiKeys?: readonly string[];
  /** More names accepted in the Host header; "*" accepts any. Addresses always are. */
  readonly allowedHosts?: readonly string[];
  /** Origins of other sites whose pages may use the API; "*" allows any. Default none. */
  readonly allowedOrigins?: readonly string[];
  /** A certificate chain and its key, both PEM: with them it speaks HTTPS only. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Aborting it has the effect of `shutdown()`. */
  readonly signal?: AbortSignal;
  /** How long running answers may take once the server is shutting down; default 30 s. */
  readonly drainMs?: number;
}

/**
 * Serves loaded models: the chat page at `/`, OpenAI's API at `/v1`, Ollama's at `/api`. The first
 * one answers requests that name none. Models are not closed with the server.
 *
 * @example
 * ```ts
 * import { Engine, serve } from "ganglion";
 *
 * await using engine = await Engine.load();
 * const server = serve([engine.model], { port: 0 });
 * const answer = await fetch(`${server.url}/v1/models`);
 * console.log((await answer.json()).data[0].id);
 * await server.shutdown();
 * ```
 *
 * @throws {Error} when it cannot listen there, for example because the port is taken, or cannot
 *   use its certificate.
 */
export function serveModels(
  models: readonly LanguageModel[],
  { apiKeys, ...options }: ServeOptions = {},
): RunningServer {
  return serve({ ...options, models: loadedModels(models), apiKeys: new ApiKeys(apiKeys) });
}
