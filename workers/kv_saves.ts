/**
 * Files of keys and values, from the main thread's side: the engine copies a piece between two
 * steps, this thread writes it and asks for the next one. Knows nothing of what is in them.
 */
import { OneByOne } from "../src/base/one_by_one.ts";
import { MiB } from "../src/base/units.ts";
import type { KvArchiveFile, KvSelection } from "../src/engine/kv_archive.ts";
import { writeKvFile } from "../src/engine/kv_file.ts";
import type { CallName, Calls } from "./protocol.ts";

/** Of what is copied between two steps: of one conversation, about a millisecond. */
const PIECE_BYTES = 2 * MiB;
/** The same of all that is remembered, which is kept when a model is closed. */
const LARGE_PIECE_BYTES = 32 * MiB;

type Ask = <K extends CallName>(call: K, params: Calls[K]["params"]) => Promise<Calls[K]["result"]>;

export class KvSaves {
  readonly #ask: Ask;
  /** The engine copies for one file at a time. */
  readonly #files = new OneByOne();

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** As `EngineHandle.saveKv`. */
  save(file: KvArchiveFile & KvSelection): Promise<number | null> {
    return this.#files.run(() => this.#save(file));
  }

  async #save(
    { path, bytesMax, ...of }: KvArchiveFile & KvSelection,
  ): Promise<number | null> {
    const { begun } = await this.#ask("copyKv", of);
    if (begun === null) return null;
    const pieceBytes = of.ids === undefined ? LARGE_PIECE_BYTES : PIECE_BYTES;
    const next = async () => (await this.#ask("nextKv", { bytesMax: pieceBytes })).records;
    return await writeKvFile({ ...begun, next }, { path, bytesMax }) / begun.recordBytes;
  }
}
