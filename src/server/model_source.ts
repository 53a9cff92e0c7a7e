/**
 * The models behind the server, as its routes see them: what there is, and one of them for as long
 * as a request needs it. Who loads them, and when they are let go, is the source's business.
 */
import { RequestError } from "../base/errors.ts";
import { findNamed } from "../base/latest_tag.ts";
import type { LanguageModel } from "../llm/types.ts";
import type { FileFacts } from "../models/types.ts";
import { loadingError } from "./http_errors.ts";

/** Where models come from: one that is loaded, or a registry that loads them on demand. */
export interface ModelSource {
  /** "loading" until the first model can answer: requests get 503 until then. */
  readonly state: "loading" | "ready";
  /** All models that can be asked for, the default one first. */
  list(): readonly ModelCard[];
  /** The id that another name stands for; undefined: none. Left out: there are no other names. */
  idOf?(name: string): string | undefined;
  /** The size and age of a model's file, loaded or not; undefined or left out: not known. */
  fileOf?(id: string): FileFacts | undefined;
  /**
   * The model of that name, loaded if need be; without a name, the default one. It is not let go
   * before the lease ends.
   * @returns undefined where there is no such model.
   * @throws {RequestError} when it cannot be loaded now.
   */
  acquire(id: string | undefined, options?: AcquireOptions): Promise<ModelLease | undefined>;
}

export interface AcquireOptions {
  /** How long the model stays loaded after its last lease; Infinity: for good; 0: not at all. */
  readonly keepAliveMs?: number;
  /** The client has gone: nobody waits for the model any more. */
  readonly signal?: AbortSignal;
}

/** A model for the length of a request. */
export interface ModelLease {
  readonly model: LanguageModel;
  /** Ends the lease; calling it again does nothing. */
  release(): void;
}

/** What is known of a model without loading it. */
export interface ModelCard extends Pick<LanguageModel, "id" | "created" | "failure" | "neurons"> {
  /** Left out: it is not in memory. */
  readonly load?: LanguageModel["load"];
  readonly runningMax?: number;
  /** Tokens a request may use; left out: not known before it is loaded. */
  readonly contextLength?: number;
  readonly details?: LanguageModel["details"];
  /** False: it would have to be loaded; left out: it is there. */
  readonly isLoaded?: boolean;
  /** When it is let go if nobody asks; left out: never. */
  readonly expiresAt?: Date;
}

/** A source of models that are loaded and stay. */
export function loadedModels(models: readonly LanguageModel[]): ModelSource {
  const ids = models.map(({ id }) => id);
  return {
    state: "ready",
    list: () => models,
    acquire: (name) => {
      const id = name === undefined ? ids[0] : findNamed(ids, name);
      const model = models.find((each) => each.id === id);
      return Promise.resolve(model && { model, release() {} });
    },
  };
}

/**
 * Leases the model of that name, or the default one.
 * @throws {RequestError} 404 when there is none; 503 while loading.
 */
export async function acquireModel(
  source: ModelSource,
  id: string | undefined,
  options?: AcquireOptions,
): Promise<ModelLease> {
  // Clients that do not care send an empty name.
  const lease = await source.acquire(id || undefined, options);
  if (lease !== undefined) return lease;
  if (source.state === "loading") throw loadingError();
  throw modelNotFound(source, id);
}

/** The id of the model that is asked for; undefined: there is none of that name. */
export function idOf(source: ModelSource, asked: string): string | undefined {
  return findNamed(source.list().map(({ id }) => id), asked) ?? source.idOf?.(asked);
}

/** 404, with the names that there are. */
export function modelNotFound(source: ModelSource, id: string | undefined): RequestError {
  const names = source.list().map((card) => card.id);
  return new RequestError(
    `The model ${JSON.stringify(id?.slice(0, 200) ?? "")} does not exist here: ` +
      `choose one of ${JSON.stringify(names.slice(0, 20))}`,
    { status: 404, code: "model_not_found", param: "model" },
  );
}
