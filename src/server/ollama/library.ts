/** The handlers of Ollama's API by which models come and go: `/api/pull`, `/api/delete`. */
import type { Context } from "hono";
import { z } from "zod";
import { RequestError, shutdownError } from "../../base/errors.ts";
import type { ServerEnv } from "../guards.ts";
import { textErrorBody, toRequestError } from "../http_errors.ts";
import type { LibraryProgress, ModelLibrary } from "../model_library.ts";
import { modelNotFound } from "../model_source.ts";
import type { AppSettings } from "../options.ts";
import { optional } from "../parse_fields.ts";
import { readFields } from "../read_fields.ts";
import { modelName } from "./fields.ts";

export const pullSchema = z.object({
  model: modelName,
  name: modelName,
  stream: optional(z.boolean()),
});

/** Brings a model; its progress is lines of JSON unless the client wants none. */
export async function pull(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const { model, name, stream } = await readFields(c, settings, pullSchema);
  const reference = model ?? name ?? "";
  const { library, lifecycle, onError } = settings;
  // What came is kept: nobody who stops the server waits for the rest.
  const signal = AbortSignal.any([c.req.raw.signal, lifecycle.drainSignal]);
  const work = new PullWork(reference, { library, signal });
  // What fails before anything has come has a status; after that only lines can say it.
  try {
    await (stream === false ? work.done : Promise.race([work.done, work.begun]));
  } catch (error) {
    throw signal.aborted && !(error instanceof RequestError) ? shutdownError() : error;
  }
  if (stream === false) return Response.json({ status: "success" });
  const lines = ReadableStream.from(pullLines(work, {
    onError: (error) => onError(error, c.get("requestId")),
    isLeaving: () => lifecycle.isDraining,
  }));
  return new Response(lines.pipeThrough(new TextEncoderStream()), {
    headers: { "content-type": "application/x-ndjson" },
  });
}

/** A pull under way, and the last thing that is known of it. */
class PullWork {
  readonly reference: string;
  readonly done: Promise<void>;
  /** Resolves when something is known to come; stays open where nothing does. */
  readonly begun: Promise<void>;
  progress: LibraryProgress | null = null;

  constructor(
    reference: string,
    { library, signal }: { library: ModelLibrary | null; signal: AbortSignal },
  ) {
    this.reference = reference;
    const begun = Promise.withResolvers<void>();
    this.begun = begun.promise;
    const onProgress = (progress: LibraryProgress) => {
      this.progress = progress;
      begun.resolve();
    };
    this.done = library === null
      ? Promise.reject(closedLibrary("pull", reference))
      : library.pull(reference, { signal, onProgress }).then(() => {});
    // Who writes lines looks at it later.
    this.done.catch(() => {});
  }
}

/** Often enough for a bar. */
const LINE_MS = 100;

async function* pullLines(
  work: PullWork,
  { onError, isLeaving }: { onError: (error: unknown) => void; isLeaving: () => boolean },
): AsyncGenerator<string> {
  const line = (fields: object) => `${JSON.stringify(fields)}\n`;
  yield line({ status: "pulling manifest" });
  let isOver = false;
  const over = work.done.then(() => {}, () => {}).finally(() => isOver = true);
  let told: LibraryProgress | null = null;
  while (!isOver) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await Promise.race([over, new Promise((resolve) => timer = setTimeout(resolve, LINE_MS))]);
    clearTimeout(timer);
    if (work.progress === told || work.progress === null) continue;
    told = work.progress;
    yield line(progressOnWire(work.reference, told));
  }
  try {
    await work.done;
    yield line({ status: "success" });
  } catch (error) {
    if (isLeaving()) return yield line(textErrorBody(shutdownError()));
    if (!(error instanceof RequestError)) onError(error);
    yield line(textErrorBody(toRequestError(error)));
  }
}

function progressOnWire(reference: string, { phase, doneBytes, totalBytes }: LibraryProgress) {
  return {
    status: phase === "pulling" ? `pulling ${reference}` : "verifying sha256 digest",
    // Clients have a bar for each.
    digest: reference,
    ...{ total: totalBytes, completed: doneBytes },
  };
}

export const deleteSchema = z.object({ model: modelName, name: modelName });

/** Deletes a model of the folder that clients may change, if there is one. */
export async function remove(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const { model, name } = await readFields(c, settings, deleteSchema);
  const id = model ?? name ?? "";
  const { library, models } = settings;
  if (library === null) throw closedLibrary("delete", id);
  if (!library.remove(id)) throw modelNotFound(models, id);
  return new Response(null, { status: 200 });
}

/** Nobody has said that clients may change files. */
function closedLibrary(verb: string, name: string): RequestError {
  return new RequestError(
    `Cannot ${verb} ${JSON.stringify(name.slice(0, 200))}: this server downloads no models and ` +
      "deletes none: start it with --models-dir FOLDER --manage-models",
    { status: verb === "pull" ? 501 : 403, type: "permission_error", code: "not_supported" },
  );
}
