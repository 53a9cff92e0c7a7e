/**
 * Keys and values of prompts that were computed, in a file: a server that starts again knows the
 * beginnings of conversations that it knew. What is in a block is named by its ids and by the block
 * before it, as in kv_blocks.ts; numbers of blocks are of no use elsewhere. What the file looks
 * like: kv_records.ts.
 *
 * The engine's thread copies what is to be written, a little between two steps; another thread
 * writes it (kv_file.ts), for no step waits for a disk. A file that is of another model, another
 * number of threads or another type of cache is as good as none, and so is a record whose bytes are
 * not what they were: whatever a file holds, answers are right.
 */
import type { RankSetup } from "../rank/open_rank.ts";
import type { KvBlocks } from "./kv_blocks.ts";
import type { RememberedBlock } from "./kv_blocks_types.ts";
import { KvRecords, readHead } from "./kv_records.ts";

/** Where an archive is, and which model it is of. */
export interface KvArchiveFile {
  readonly path: string;
  /** src/gguf/fingerprint.ts */
  readonly modelFingerprint: string;
  /** So much of each adapter. Left out: none. */
  readonly adapters?: readonly number[];
}

/** What of it is written. */
export interface KvSelection {
  /** What these begin with; left out: all. */
  readonly ids?: readonly number[];
  /** How long the file may be. */
  readonly bytesMax?: number;
}

export class KvArchive {
  readonly #blocks: KvBlocks;
  readonly #records: KvRecords;
  readonly #vocabSize: number;
  readonly #onRecord: () => void;
  readonly #root: number;

  /**
   * root: the content before all that it has. onRecord: called as records are read, so that nobody
   * takes slow disks for hangs.
   */
  constructor(
    setup: RankSetup,
    blocks: KvBlocks,
    { modelFingerprint, root }: Pick<KvArchiveFile, "modelFingerprint"> & { readonly root: number },
    onRecord: () => void,
  ) {
    this.#root = root;
    this.#blocks = blocks;
    this.#onRecord = onRecord;
    this.#vocabSize = setup.config.vocabSize;
    this.#records = new KvRecords(setup, modelFingerprint);
  }

  /**
   * A copy of what is remembered, of `ids` or all of it, which begins when it is asked for. Rows
   * that were given have names in this process only: they, and what follows them, are left out.
   */
  copy(ids?: readonly number[]): KvCopy {
    const remembered = ids === undefined
      ? this.#blocks.remembered(this.#root)
      : this.#blocks.rememberedOf(Int32Array.from(ids), this.#root);
    const lasting = remembered.filter(({ ids }) => ids.every((id) => id >= 0));
    return new KvCopy(this.#blocks, this.#records, lasting);
  }

  /**
   * Brings back what the file has, as far as there is room: a record, and then what yields may be
   * steps.
   * @returns how many blocks that is; null where there is no file, or none of this subject.
   */
  *restoring(path: string): Generator<void, number | null> {
    let file: Deno.FsFile;
    try {
      file = Deno.openSync(path);
    } catch {
      return null;
    }
    try {
      return yield* this.#read(file, file.statSync().size);
    } finally {
      file.close();
    }
  }

  *#read(file: Deno.FsFile, sizeBytes: number): Generator<void, number | null> {
    const { start, recordBytes } = this.#records;
    if (sizeBytes < start.length || !this.#isOfSubject(file)) return null;
    const written = Math.floor((sizeBytes - start.length) / recordBytes);
    // Records come after those that they follow: the first ones are complete by themselves.
    const count = Math.min(written, this.#blocks.availableBlocks);
    const places = new RecordPlaces(this.#blocks, count);
    const record = new Uint8Array(recordBytes);
    for (let number = 0; number < count; number++) {
      if (!fill(file, record, start.length + number * recordBytes)) break;
      places.put(number, this.#adopt(record, number, places));
      this.#onRecord();
      yield;
    }
    const adopted = places.all();
    // What is refreshed last is forgotten last: beginnings of conversations after their ends.
    for (let i = adopted.length - 1; i >= 0; i--) this.#blocks.refresh(adopted[i]);
    return adopted.length;
  }

  #isOfSubject(file: Deno.FsFile): boolean {
    const { start } = this.#records;
    const found = new Uint8Array(start.length);
    return fill(file, found, 0) && start.every((byte, i) => found[i] === byte);
  }

  /** The block that has the record's content now; -1: none. places: of the records before. */
  #adopt(record: Uint8Array, number: number, places: RecordPlaces): number {
    const head = readHead(record);
    if (head === null) return -1;
    const { before, isExact, ids } = head;
    if (before < -1 || before >= number || before >= 0 && places.of(before) < 0) return -1;
    if (ids.some((id) => id < 0 || id >= this.#vocabSize)) return -1;
    const adopted = this.#blocks.adopt({
      ...{ ids, isExact, before: before < 0 ? null : places.of(before), root: this.#root },
    });
    if (adopted === null) return -1;
    const { block, isKnown } = adopted;
    if (!isKnown) this.#records.unpack(record, block);
    return block;
  }
}

/**
 * A copy of remembered blocks, some at a time: steps in between may give blocks to others. What was
 * forgotten before its turn came is left out, and what follows it.
 */
export class KvCopy {
  readonly #in: KvBlocks;
  readonly #layout: KvRecords;
  readonly #blocks: readonly RememberedBlock[];
  /** What each of them held. */
  readonly #contents: readonly number[];
  /** Numbers of the records that were copied, by block. */
  readonly #numbers = new Map<number, number>();
  #next = 0;

  constructor(of: KvBlocks, layout: KvRecords, blocks: readonly RememberedBlock[]) {
    this.#in = of;
    this.#layout = layout;
    this.#blocks = blocks;
    this.#contents = blocks.map(({ block }) => of.contentOf(block));
  }

  /** What the file begins with. */
  get start(): Uint8Array<ArrayBuffer> {
    return this.#layout.start;
  }

  /** Bytes of the whole file, if nothing is forgotten. */
  get sizeBytes(): number {
    return this.start.length + this.#blocks.length * this.#layout.recordBytes;
  }

  get recordBytes(): number {
    return this.#layout.recordBytes;
  }

  /** The next records, of `bytesMax` together or one; null: there are no more. */
  next(bytesMax: number): Uint8Array<ArrayBuffer> | null {
    const { recordBytes } = this.#layout;
    const left = this.#blocks.length - this.#next;
    const count = Math.min(left, Math.max(1, Math.floor(bytesMax / recordBytes)));
    const records = new Uint8Array(count * recordBytes);
    let filled = 0;
    while (filled < count && this.#next < this.#blocks.length) {
      const record = records.subarray(filled * recordBytes, (filled + 1) * recordBytes);
      if (this.#copyNext(record)) filled++;
    }
    if (filled === 0) return null;
    return filled === count ? records : records.slice(0, filled * recordBytes);
  }

  /** False where it is not there any more, or what it follows is not in the copy. */
  #copyNext(record: Uint8Array): boolean {
    const { block, before: blockBefore, ids, isExact } = this.#blocks[this.#next];
    const isThere = this.#in.contentOf(block) === this.#contents[this.#next++];
    const before = blockBefore === null ? -1 : this.#numbers.get(blockBefore);
    if (!isThere || before === undefined) return false;
    this.#layout.fill(record, block, { before, isExact, ids });
    this.#numbers.set(block, this.#numbers.size);
    return true;
  }
}

/** Where the content of records is: steps between them may give a block to others. */
class RecordPlaces {
  readonly #in: KvBlocks;
  /** Blocks of records; -1: it is not what was written, or what is before it is not. */
  readonly #blocks: Int32Array;
  /** What they hold as long as they hold it. */
  readonly #contents: Float64Array;

  constructor(of: KvBlocks, records: number) {
    this.#in = of;
    this.#blocks = new Int32Array(records).fill(-1);
    this.#contents = new Float64Array(records);
  }

  put(record: number, block: number): void {
    this.#blocks[record] = block;
    if (block >= 0) this.#contents[record] = this.#in.contentOf(block);
  }

  /** The block that has a record's content; -1: none, or none any more. */
  of(record: number): number {
    const block = this.#blocks[record];
    return block >= 0 && this.#in.contentOf(block) === this.#contents[record] ? block : -1;
  }

  /** Of all records, in order. */
  all(): number[] {
    return Array.from(this.#blocks, (_, record) => this.of(record)).filter((block) => block >= 0);
  }
}

/** False when the file ends before, or cannot be read. */
function fill(file: Deno.FsFile, bytes: Uint8Array, offsetBytes: number): boolean {
  try {
    file.seekSync(offsetBytes, Deno.SeekMode.Start);
    for (let done = 0; done < bytes.length;) {
      const count = file.readSync(done === 0 ? bytes : bytes.subarray(done));
      if (count === null) return false;
      done += count;
    }
  } catch {
    return false;
  }
  return true;
}
