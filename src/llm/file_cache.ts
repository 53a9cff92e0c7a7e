/**
 * Whether a packed file is read past the system's file cache or through it, where others of the
 * same host find it. Knows nothing of who reads.
 */
import type { EngineOptions } from "./engine_options.ts";

/** As `EngineOptions.fileCache`. */
export type FileCacheMode = NonNullable<EngineOptions["fileCache"]>;

/** What a packed file is to be read for. */
export interface FileUse {
  /** Nothing of it is read once it is loaded. */
  readonly isResident: boolean;
  readonly fileBytes: number;
  /** What the model takes of memory, the process included, but for one that guesses for it. */
  readonly takenBytes: number;
  /**
   * What is free before it is loaded; left out: as it is now, and nothing where nobody may ask. The
   * cache counts as free.
   */
  readonly availableBytes?: number;
}

/**
 * True: past it. Where nobody says, that is what models larger than memory do: they would only push
 * useful pages out, and their engine has a cache of its own, which knows neurons.
 */
export function readsPastFileCache(
  mode: FileCacheMode = "auto",
  { isResident, fileBytes, takenBytes, availableBytes }: FileUse,
): boolean {
  if (mode !== "auto") return mode === "off";
  if (!isResident) return true;
  return takenBytes + fileBytes > (availableBytes ?? freeBytes());
}

/** Memory that is free; 0 where nobody may ask, as a program without `--allow-sys`. */
export function freeBytes(): number {
  try {
    return Deno.systemMemoryInfo().available;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return 0;
    throw error;
  }
}
