/** What a model keeps of what it has computed: part of types.ts. */

/** How full the cache of keys and values is, in tokens. */
export interface KvUse {
  /** Room that running requests have, or were promised; what is kept of earlier ones is free. */
  readonly usedTokens: number;
  /** Tokens that it has room for. */
  readonly capacityTokens: number;
  /** Tokens of a block, of which whole ones are used again. */
  readonly blockTokens: number;
}

/** What a model computed of conversations, in files. */
export interface Conversations {
  /**
   * Writes what is remembered of a prompt; an earlier file of that path is replaced when the new
   * one is whole.
   * @returns for how many of the first ids, in whole blocks.
   * @throws {RequestError} 507 where that is more than `bytesMax`, or the disk is full; 501 where
   *   keys and values lie on a GPU.
   */
  save(
    ids: readonly number[],
    file: { readonly path: string; readonly bytesMax: number },
  ): Promise<number>;
  /**
   * Remembers what such a file has; the oldest of what is remembered makes room.
   * @returns for how many ids.
   * @throws {RequestError} 409 where it is of another model, number of threads or type of cache.
   */
  restore(path: string): Promise<number>;
}
