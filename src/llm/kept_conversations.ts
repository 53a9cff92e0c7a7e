/**
 * Keys and values of one conversation in a file, and back: a model that is loaded again goes on
 * with it at once. Knows ids and paths; who may name which path is the caller's business.
 */
import { RequestError } from "../base/errors.ts";
import type { KvArchiveFile } from "../engine/kv_archive.ts";
import { KV_BLOCK_POSITIONS } from "../memory/kv_layout.ts";
import type { AdapterShares } from "./adapter_shares.ts";
import type { EngineSupply } from "./engine_supply.ts";
import type { Conversations } from "./types.ts";

export class KeptConversations implements Conversations {
  readonly #engines: EngineSupply;
  readonly #fingerprint: (shares: readonly number[]) => string;
  readonly #adapters: Pick<AdapterShares, "current">;

  /**
   * fingerprint: of the model with so much of each adapter, made when it is needed. adapters: how
   * much of each counts in conversations that are kept, or gone on with.
   */
  constructor(
    engines: EngineSupply,
    { fingerprint, adapters }: {
      readonly fingerprint: (shares: readonly number[]) => string;
      readonly adapters: Pick<AdapterShares, "current">;
    },
  ) {
    this.#engines = engines;
    this.#fingerprint = fingerprint;
    this.#adapters = adapters;
  }

  async save(
    ids: readonly number[],
    { path, bytesMax }: { readonly path: string; readonly bytesMax: number },
  ): Promise<number> {
    const engine = await this.#engines.ready();
    const blocks = await engine.saveKv({ ...this.#fileAt(path), ids, bytesMax });
    if (blocks !== null) return blocks * KV_BLOCK_POSITIONS;
    throw new RequestError(
      "Cannot keep this conversation: its keys and values are on a GPU (then use --gpu off), or " +
        "the model has none that the next request could use, as layers keep states of the text, " +
        "or each word depends on all of it: use another model",
      { status: 501, code: "not_supported" },
    );
  }

  async restore(path: string): Promise<number> {
    const engine = await this.#engines.ready();
    const blocks = await engine.restoreKv(this.#fileAt(path));
    if (blocks !== null) return blocks * KV_BLOCK_POSITIONS;
    throw new RequestError(
      "Cannot go on with this conversation: it is of another model, number of threads or type of " +
        "cache, or this model keeps none: save it again, or use the model that it is of",
      { status: 409, code: "other_model" },
    );
  }

  #fileAt(path: string): KvArchiveFile {
    const { current: adapters } = this.#adapters;
    return { path, modelFingerprint: this.#fingerprint(adapters), adapters };
  }
}
