/** What the registry of models works with: names, a loader, leases, and what it tells. */
import type { LanguageModel } from "../llm/types.ts";

/** What a file system says of a model's file, opening nothing. */
export interface FileFacts {
  /** Of all parts of a split model. */
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

/** Which models there are. Asked again when a name is unknown: files may have come since. */
export interface ModelCatalog {
  /** Names, the default model first. */
  ids(): readonly string[];
  /** The id that another name stands for; undefined: none. Left out: there are no other names. */
  idOf?(name: string): string | undefined;
  /** The id of the model in whose engine this one is, with an adapter; undefined: in its own. */
  baseOf?(id: string): string | undefined;
  /** Of the model's file; undefined: there is none. Left out: nobody knows of files. */
  fileOf?(id: string): FileFacts | undefined;
}

/** Makes models; the registry decides when. */
export interface ModelLoader {
  /**
   * Memory that the model will take, in bytes; read from its header.
   * @throws {Error} when the file cannot be used.
   */
  bytesOf(id: string): Promise<number>;
  /**
   * @param onProgress told how much of it is there, 0 to 1.
   * @throws {Error} when it cannot be loaded.
   */
  load(id: string, onProgress: (share: number) => void): Promise<LanguageModel>;
}

/** The right to use a model: it stays loaded until it is released. */
export interface ModelLease {
  readonly model: LanguageModel;
  /** Ends the lease; calling it again does nothing. */
  release(): void;
}

export interface AcquireOptions {
  /**
   * How long the model stays loaded after its last lease; Infinity: for ever, 0: not at all. Left
   * out: the registry's default.
   */
  readonly keepAliveMs?: number;
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
}

export type ModelState = "unloaded" | "loading" | "ready" | "unloading";

/** What can be told about a model, loaded or not. */
export interface ModelStatus {
  readonly id: string;
  /** The model in whose engine it is: what that takes and does is told there. Left out: its own. */
  readonly base?: string;
  readonly state: ModelState;
  readonly isLoaded: boolean;
  /** The loaded model; null otherwise. */
  readonly model: LanguageModel | null;
  /** Unix seconds at which it was last loaded; 0: never. */
  readonly created: number;
  /** Tokens of context; left out until it was loaded once. */
  readonly contextLength?: number;
  /** What its file says of it; left out until it was loaded once. */
  readonly details?: LanguageModel["details"];
  /** Memory that it takes, as planned from its header; 0 while it is not loaded. */
  readonly bytes: number;
  /** Requests that use it now. */
  readonly leases: number;
  /** Requests that wait for it to be loaded. */
  readonly waiting: number;
  /** When it leaves unless it is used; left out: it does not. */
  readonly expiresAt?: Date;
  /** Why nothing but a new process helps: its engine has failed too often; null: it has not. */
  readonly failure: Error | null;
  /** How much of it is there, 0 to 1; null: it is not being loaded. */
  readonly loadedShare: number | null;
  /** Why the last try to load it failed; null: it did not. */
  readonly loadFailure: Error | null;
}

/** Why a loaded model left. */
export type UnloadReason = "idle" | "evicted" | "stopped" | "failed" | "changed" | "closing";

/** What happened, for logs and metrics. */
export type RegistryEvent =
  | { readonly kind: "loaded"; readonly id: string; readonly ms: number; readonly bytes: number }
  | { readonly kind: "load_failed"; readonly id: string; readonly error: Error }
  | { readonly kind: "unloaded"; readonly id: string; readonly reason: UnloadReason };
