/** `serve [MODEL…]`: the chat page and the API, until it is interrupted. */
import type { Command } from "commander";
import { UsageError } from "../../base/errors.ts";
import type { LoadedModel, LoadOptions } from "../../llm/mod.ts";
import { type ModelLease, type ModelSource, type RunningServer, serve } from "../../server/mod.ts";
import { EXIT_INTERRUPTED, onInterrupt } from "../interrupt.ts";
import { addLoadOptions, type LoadFlags, loadForVerb, toLoadOptions } from "../load.ts";
import { list, wholeNumber } from "../option_values.ts";
import { writeErrorLine } from "../output.ts";
import { createVerb, requireModel } from "../verb.ts";

interface Options extends LoadFlags {
  readonly host: string;
  readonly port: number;
  readonly maxWaiting?: number;
  readonly allowHosts?: readonly string[];
  readonly allowOrigins?: readonly string[];
}

export function serveVerb(): Command {
  const verb = createVerb("serve", "Serve the chat page at / and the OpenAI API at /v1.")
    .argument(
      "[models...]",
      "the .gguf files to serve; left out: $GANGLION_MODEL or the built-in one",
    )
    .option("--host <address>", "address to listen on; 0.0.0.0 is all of them", "127.0.0.1")
    .option("--port <n>", "port to listen on; 0 is any", wholeNumber({ max: 65535 }), 11711)
    .option("--max-waiting <n>", "requests that may wait their turn (default: 16)", wholeNumber())
    .option("--allow-hosts <names>", "more names that clients may use for this server", list)
    .option("--allow-origins <origins>", "sites whose pages may use the API; * is any", list)
    .action(serveModels);
  return addLoadOptions(verb);
}

async function serveModels(paths: readonly string[], options: Options): Promise<void> {
  const modelPaths = paths.length > 0
    ? paths.map((path) => requireModel(path))
    : [requireModel(undefined, { env: "GANGLION_MODEL" })];
  await using models = new ModelTable();
  // It listens before it loads: a port that is taken is known at once, and clients hear "loading".
  const server = serve({
    models,
    hostname: options.host,
    port: options.port,
    allowedHosts: options.allowHosts,
    allowedOrigins: options.allowOrigins,
  });
  using _signals = onInterrupt(stopping(server));
  try {
    for (const path of modelPaths) {
      await models.load(path, { ...toLoadOptions(options), maxWaiting: options.maxWaiting });
    }
    writeErrorLine(`Serving ${models.list().map(({ id }) => id).join(", ")} at ${server.url}`);
    writeErrorLine(`Chat there with a browser; OpenAI's API is at ${server.url}/v1; Ctrl-C stops`);
  } catch (error) {
    await server.shutdown();
    throw error;
  }
  await server.finished;
}

/** Ctrl-C: once lets running answers end, twice cuts them short, three times leaves. */
function stopping(server: RunningServer): () => void {
  let count = 0;
  return () => {
    count++;
    if (count > 2) Deno.exit(EXIT_INTERRUPTED);
    writeErrorLine(
      count === 1 ? "Stopping when running answers have ended; Ctrl-C stops at once" : "Stopping",
    );
    server.shutdown();
  };
}

/** The models of this server, in the order of the command line; the first is the default. */
class ModelTable implements ModelSource, AsyncDisposable {
  readonly #models = new Map<string, LoadedModel>();

  get state(): "loading" | "ready" {
    return this.#models.size > 0 ? "ready" : "loading";
  }

  /**
   * Clients that insist on a name of their own ("gpt-4o") are answered where there is no choice,
   * as llama.cpp's server does; the answer names the real model. Among several, names count.
   */
  acquire(id?: string): Promise<ModelLease | undefined> {
    const isAny = id === undefined || this.#models.size === 1;
    const model = isAny ? this.list()[0] : this.#models.get(id);
    return Promise.resolve(model && { model, release() {} });
  }

  list(): LoadedModel[] {
    return [...this.#models.values()];
  }

  /** @throws {UsageError} when another model has the same name. */
  async load(path: string, options: LoadOptions): Promise<void> {
    const model = await loadForVerb(path, options);
    if (this.#models.has(model.id)) {
      await model.close();
      throw new UsageError(`Cannot serve two models named "${model.id}": rename one of the files`);
    }
    this.#models.set(model.id, model);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.list().map((model) => model.close()));
  }
}
