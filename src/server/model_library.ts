/** Models that come and go while the server runs, as its routes see it. Knows no files. */

/** How far a model is on its way. */
export interface LibraryProgress {
  /** "checking": all of it came, and is read once more. */
  readonly phase: "pulling" | "checking";
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface LibraryPull {
  /** Whoever asked has gone. Others who ask for the same go on. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: LibraryProgress) => void;
}

/** A folder that clients may have models brought to, and deleted from. */
export interface ModelLibrary {
  /**
   * Brings a model; goes on where an earlier try has ended.
   * @returns its name.
   * @throws {RequestError} when it does not come. What aborts the signal is thrown as its reason.
   */
  pull(reference: string, pull: LibraryPull): Promise<string>;
  /**
   * Deletes a model's files, and lets it go when its requests have ended.
   * @returns false where there is no such model.
   * @throws {RequestError} when it may not be deleted.
   */
  remove(name: string): boolean;
}
