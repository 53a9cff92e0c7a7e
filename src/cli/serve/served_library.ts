/** The folder of `serve --manage-models`, which clients may change: models come and go. */
import { join } from "node:path";
import { RequestError, UsageError, withoutFolders } from "../../base/errors.ts";
import { withoutLatest } from "../../base/latest_tag.ts";
import { checkWritable } from "../../base/write_errors.ts";
import type { FileCatalog, ModelRegistry } from "../../models/mod.ts";
import { modelName } from "../../models/mod.ts";
import {
  ModelStore,
  parseReference,
  PullError,
  pullModel,
  type PullObstacle,
  type PullOptions,
  SharedPulls,
  sourceOf,
} from "../../pull/mod.ts";
import type { LibraryPull, ModelLibrary } from "../../server/mod.ts";

/** Different models at once. */
const PULLS_MAX = 4;

export interface LibraryOptions {
  readonly catalog: FileCatalog;
  readonly registry: Pick<ModelRegistry, "unload">;
  /** The folder, the hub and the token. */
  readonly pull: PullOptions;
}

/** True when this process may write to the folder. */
export function mayChange(folder: string): boolean {
  try {
    checkWritable(join(folder, ".ganglion"));
    return true;
  } catch {
    return false;
  }
}

export class ServedLibrary implements ModelLibrary {
  readonly #catalog: FileCatalog;
  readonly #registry: Pick<ModelRegistry, "unload">;
  readonly #store: ModelStore;
  readonly #pulls: SharedPulls;

  constructor({ catalog, registry, pull }: LibraryOptions) {
    this.#catalog = catalog;
    this.#registry = registry;
    this.#store = new ModelStore(pull.folder);
    this.#pulls = new SharedPulls((reference, watcher) =>
      pullModel(reference, { ...pull, ...watcher })
    );
  }

  async pull(reference: string, { signal, onProgress }: LibraryPull): Promise<string> {
    const source = requireHub(reference);
    if (!this.#pulls.has(source) && this.#pulls.count >= PULLS_MAX) {
      throw new RequestError(`Cannot pull ${source}: ${PULLS_MAX} models are on their way`, {
        status: 503,
        code: "too_many_pulls",
        retryAfterSeconds: 30,
      });
    }
    try {
      const { id, path, wasThere } = await this.#pulls.join(source, { signal, onProgress });
      this.#catalog.refresh();
      // Whoever asks next gets the new version.
      if (!wasThere && this.#serves(id, path)) this.#registry.unload(id);
      return id;
    } catch (error) {
      signal.throwIfAborted();
      throw toPullError(error);
    }
  }

  remove(name: string): boolean {
    const path = this.#store.pathOf(name);
    const id = path === null ? withoutLatest(name) : modelName(path);
    const isServed = this.#catalog.pathOf(id) !== undefined;
    if (isServed && (this.#catalog.isNamed(id) || path === null || !this.#serves(id, path))) {
      throw keptError(id, "the server was started with it");
    }
    if (path !== null && this.#store.record(id) === null) throw keptError(id, "nobody pulled it");
    if (isServed) this.#registry.unload(id);
    try {
      const gone = this.#store.remove(id);
      this.#catalog.refresh();
      return gone.length > 0;
    } catch (error) {
      throw toPullError(error);
    }
  }

  /** True where the model of that name is that file, however its path is spelled. */
  #serves(id: string, path: string): boolean {
    const served = this.#catalog.pathOf(id);
    return served !== undefined && realPath(served) === realPath(path);
  }
}

function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}

function keptError(id: string, why: string): RequestError {
  return new RequestError(`Cannot delete ${JSON.stringify(id)}: ${why}`, {
    status: 403,
    type: "permission_error",
    code: "not_supported",
  });
}

/** Clients name models of the hub only: by addresses they could have any server asked. */
function requireHub(reference: string): string {
  try {
    const parsed = parseReference(reference);
    if (parsed.kind === "hub") return sourceOf(parsed);
  } catch (error) {
    throw toPullError(error);
  }
  throw new RequestError(
    "Cannot pull from an address for a client: give hf:user/repo:QUANT, or pull it on the " +
      "server's own terminal",
    { status: 400, code: "invalid_value", param: "model" },
  );
}

/**
 * What a client is answered. A hub that wants another token answers 401; to this server's client
 * that would say that its own key is wrong.
 */
const ANSWERS = {
  not_found: { status: 404, code: "model_not_found", param: "model" },
  not_permitted: { status: 403, type: "permission_error", code: "model_not_permitted" },
  unclear: { status: 400, code: "invalid_value", param: "model" },
  in_use: { status: 409, code: "model_in_use" },
  busy: { status: 503, code: "hub_busy", retryAfterSeconds: 60 },
  disk_full: { status: 507, code: "disk_full" },
  failed: { status: 502, code: "pull_failed" },
} as const satisfies Record<PullObstacle, ConstructorParameters<typeof RequestError>[1]>;

function toPullError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof RequestError) return error;
  if (error instanceof UsageError) {
    return new RequestError(error.message, { status: 400, code: "invalid_value", param: "model" });
  }
  if (!(error instanceof PullError) && !error.message.startsWith("Cannot ")) return error;
  const obstacle = error instanceof PullError ? error.obstacle : "failed";
  return new RequestError(withoutFolders(error.message), ANSWERS[obstacle]);
}
