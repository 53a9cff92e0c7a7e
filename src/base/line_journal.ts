/**
 * A journal that outlives a crash: lines in a file that is held open and locked, so that two
 * programs never write the same thing. A line that is torn, and all behind it, were never written.
 * Knows nothing of what lines mean.
 */

/** More is no journal of ours. */
const BYTES_MAX = 64 << 20;

export class LineJournal {
  readonly path: string;
  readonly #file: Deno.FsFile;
  /** What it holds, as far as it was read or written here. */
  #text = "";

  /**
   * Opens the journal, or begins one.
   * @returns null when another program has it.
   * @throws what the system refuses.
   */
  static open(path: string): LineJournal | null {
    for (;;) {
      const file = Deno.openSync(path, { read: true, write: true, create: true });
      if (!file.tryLockSync(true)) {
        file.close();
        return null;
      }
      if (isStillAt(file, path)) return new LineJournal(path, file);
      // Whoever had the lock has ended its work, and taken the file away.
      file.close();
    }
  }

  private constructor(path: string, file: Deno.FsFile) {
    this.path = path;
    this.#file = file;
  }

  /** Lines that are complete. */
  lines(): string[] {
    const { size } = this.#file.statSync();
    if (size > BYTES_MAX) return [];
    const bytes = new Uint8Array(size);
    let done = 0;
    this.#file.seekSync(0, Deno.SeekMode.Start);
    while (done < size) {
      const count = this.#file.readSync(bytes.subarray(done));
      if (count === null) break;
      done += count;
    }
    this.#text = new TextDecoder().decode(bytes.subarray(0, done));
    return this.#text.split("\n").slice(0, -1);
  }

  /** Adds a line. */
  append(line: string): void {
    this.#write(`${line}\n`);
  }

  /** Forgets all lines but these. */
  rewrite(lines: readonly string[]): void {
    const text = lines.map((line) => `${line}\n`).join("");
    if (text === this.#text) return;
    this.#file.truncateSync(0);
    this.#file.seekSync(0, Deno.SeekMode.Start);
    this.#text = "";
    this.#write(text);
  }

  /** Takes the journal away; it stays locked until it is closed. */
  remove(): void {
    Deno.removeSync(this.path);
  }

  close(): void {
    this.#file.close();
  }

  #write(text: string): void {
    const bytes = new TextEncoder().encode(text);
    let done = 0;
    while (done < bytes.length) done += this.#file.writeSync(bytes.subarray(done));
    this.#text += text;
  }
}

/** False when the path names another file by now, or none. Windows keeps open files in place. */
function isStillAt(file: Deno.FsFile, path: string): boolean {
  try {
    return file.statSync().ino === Deno.statSync(path).ino;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
