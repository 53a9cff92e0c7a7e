/**
 * Keys and values of prompts that were computed, in a file: a server that starts again knows the
 * beginnings of conversations that it knew. What is in a block is named by its ids and by the block
 * before it, as in kv_blocks.ts; numbers of blocks are of no use elsewhere.
 *
 *   magic │ length │ subject (JSON: model, threads, shapes) │ record │ record …
 *   record: CRC-32 of the rest │ record before, or -1 │ exact │ ids i32 [32] │ keys, values …
 *
 * A file is written beside the old one and takes its place when it is whole. One that is of another
 * model, another number of threads or another type of cache is as good as none, and so is a record
 * whose bytes are not what they were: whatever a file holds, answers are right.
 */
import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync } from "node:fs";
import { crc32 } from "node:zlib";
import { check } from "../base/check.ts";
import { RequestError } from "../base/errors.ts";
import { explainWriteError, isDiskFull, writeFully } from "../base/write_errors.ts";
import { KV_BLOCK_POSITIONS as TOKENS } from "../memory/kv_layout.ts";
import { kvBytes } from "../rank/kv_bytes.ts";
import type { RankSetup } from "../rank/open_rank.ts";
import { lengthOf } from "../rank/shard.ts";
import type { KvBlocks, RememberedBlock } from "./kv_blocks.ts";

/** "GKV1". */
const MAGIC = 0x31564b47;
const START_BYTES = 8;
const SUBJECT_BYTES_MAX = 1 << 20;
/** CRC, record before, exact, ids. */
const HEAD_BYTES = 12 + 4 * TOKENS;

/** Where an archive is, and which model it is of. */
export interface KvArchiveFile {
  readonly path: string;
  /** src/gguf/fingerprint.ts */
  readonly modelFingerprint: string;
}

/** What of it is written. */
export interface KvSelection {
  /** What these begin with; left out: all. */
  readonly ids?: readonly number[];
  /** How long the file may be. */
  readonly bytesMax?: number;
}

/** A layer's keys, or its values, on a rank: as many bytes for each block of the pool. */
interface Piece {
  readonly bytes: Uint8Array;
  readonly offsetBytes: number;
  readonly blockBytes: number;
}

export class KvArchive {
  readonly #blocks: KvBlocks;
  readonly #path: string;
  readonly #subject: Uint8Array<ArrayBuffer>;
  readonly #pieces: readonly Piece[];
  readonly #vocabSize: number;
  readonly #record: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #onRecord: () => void;

  /** onRecord: called as records are written or read, so that nobody takes slow disks for hangs. */
  constructor(
    setup: RankSetup,
    blocks: KvBlocks,
    { path, modelFingerprint }: KvArchiveFile,
    onRecord: () => void,
  ) {
    this.#blocks = blocks;
    this.#onRecord = onRecord;
    this.#path = path;
    this.#pieces = piecesOf(setup);
    this.#vocabSize = setup.config.vocabSize;
    const [{ kvType }] = setup.plans;
    const pieces = this.#pieces.map(({ blockBytes }) => blockBytes);
    const subject = { modelFingerprint, kvType, threads: setup.plans.length, pieces };
    this.#subject = new TextEncoder().encode(JSON.stringify(subject));
    check(this.#subject.length <= SUBJECT_BYTES_MAX, "a subject is short");
    const sizeBytes = pieces.reduce((sum, bytes) => sum + bytes, HEAD_BYTES);
    this.#record = new Uint8Array(sizeBytes);
    this.#view = new DataView(this.#record.buffer);
  }

  /**
   * Writes what is remembered: of `ids`, or all of it.
   * @returns how many blocks that is.
   * @throws {RequestError} 507 when that is more than `bytesMax`, or the disk is full.
   * @throws {Error} "Cannot write …". The old file is still there in any case.
   */
  save({ ids, bytesMax = Infinity }: KvSelection = {}): number {
    const blocks = ids === undefined
      ? this.#blocks.remembered()
      : this.#blocks.rememberedOf(Int32Array.from(ids));
    const sizeBytes = START_BYTES + this.#subject.length + blocks.length * this.#record.length;
    if (sizeBytes > bytesMax) {
      throw new RequestError(
        `Cannot keep ${sizeBytes} bytes of keys and values: there is room for ${bytesMax}`,
        { status: 507, code: "no_room" },
      );
    }
    const part = `${this.#path}.part`;
    try {
      const descriptor = openSync(part, "w");
      try {
        const count = this.#write(descriptor, blocks);
        fsyncSync(descriptor);
        renameSync(part, this.#path);
        return count;
      } catch (error) {
        rmSync(part, { force: true });
        throw error;
      } finally {
        closeSync(descriptor);
      }
    } catch (error) {
      const explained = explainWriteError(error, part);
      if (!isDiskFull(explained)) throw explained;
      const { message } = explained as Error;
      throw new RequestError(message, { status: 507, code: "disk_full" });
    }
  }

  #write(descriptor: number, blocks: readonly RememberedBlock[]): number {
    const start = new Uint8Array(START_BYTES);
    new DataView(start.buffer).setUint32(0, MAGIC, true);
    new DataView(start.buffer).setUint32(4, this.#subject.length, true);
    writeFully(descriptor, start);
    writeFully(descriptor, this.#subject);
    const record = this.#record;
    const numbers = new Map<number, number>();
    for (const { block, before, ids, isExact } of blocks) {
      const numberBefore = before === null ? -1 : numbers.get(before);
      if (numberBefore === undefined) continue; // what it follows was forgotten
      numbers.set(block, numbers.size);
      this.#view.setInt32(4, numberBefore, true);
      this.#view.setUint32(8, isExact ? 1 : 0, true);
      ids.forEach((id, i) => this.#view.setInt32(12 + 4 * i, id, true));
      this.#eachPiece((piece, at) => {
        const from = piece.offsetBytes + block * piece.blockBytes;
        record.set(piece.bytes.subarray(from, from + piece.blockBytes), at);
      });
      this.#view.setUint32(0, crc32(record.subarray(4)), true);
      writeFully(descriptor, record);
      this.#onRecord();
    }
    return numbers.size;
  }

  /**
   * Brings back what the file has, as far as there is room: a record, and then what yields may be
   * steps.
   * @returns how many blocks that is; null where there is no file, or none of this subject.
   */
  *restoring(): Generator<void, number | null> {
    let descriptor: number;
    try {
      descriptor = openSync(this.#path, "r");
    } catch {
      return null;
    }
    try {
      return yield* this.#read(descriptor, fstatSync(descriptor).size);
    } finally {
      closeSync(descriptor);
    }
  }

  *#read(descriptor: number, sizeBytes: number): Generator<void, number | null> {
    const first = START_BYTES + this.#subject.length;
    if (sizeBytes < first || !this.#isOfSubject(descriptor)) return null;
    const written = Math.floor((sizeBytes - first) / this.#record.length);
    // Records come after those that they follow: the first ones are complete by themselves.
    const count = Math.min(written, this.#blocks.availableBlocks);
    const places = new RecordPlaces(this.#blocks, count);
    for (let number = 0; number < count; number++) {
      if (!fill(descriptor, this.#record, first + number * this.#record.length)) break;
      places.put(number, this.#adopt(number, places));
      this.#onRecord();
      yield;
    }
    const adopted = places.all();
    // What is refreshed last is forgotten last: beginnings of conversations after their ends.
    for (let i = adopted.length - 1; i >= 0; i--) this.#blocks.refresh(adopted[i]);
    return adopted.length;
  }

  #isOfSubject(descriptor: number): boolean {
    const start = new Uint8Array(START_BYTES + this.#subject.length);
    if (!fill(descriptor, start, 0)) return false;
    const view = new DataView(start.buffer);
    return view.getUint32(0, true) === MAGIC && view.getUint32(4, true) === this.#subject.length &&
      this.#subject.every((byte, i) => start[START_BYTES + i] === byte);
  }

  /** The block that has the record's content now; -1: none. places: of the records before. */
  #adopt(number: number, places: RecordPlaces): number {
    const record = this.#record;
    if (crc32(record.subarray(4)) !== this.#view.getUint32(0, true)) return -1;
    const before = this.#view.getInt32(4, true);
    if (before < -1 || before >= number || before >= 0 && places.of(before) < 0) return -1;
    const ids = Int32Array.from(
      { length: TOKENS },
      (_, i) => this.#view.getInt32(12 + 4 * i, true),
    );
    if (ids.some((id) => id < 0 || id >= this.#vocabSize)) return -1;
    const adopted = this.#blocks.adopt({
      ids,
      before: before < 0 ? null : places.of(before),
      isExact: this.#view.getUint32(8, true) === 1,
    });
    if (adopted === null) return -1;
    const { block, isKnown } = adopted;
    if (isKnown) return block;
    this.#eachPiece((piece, at) => {
      const to = piece.offsetBytes + block * piece.blockBytes;
      piece.bytes.set(record.subarray(at, at + piece.blockBytes), to);
    });
    return block;
  }

  /** at: where the piece is in a record. */
  #eachPiece(visit: (piece: Piece, at: number) => void): void {
    let at = HEAD_BYTES;
    for (const piece of this.#pieces) {
      visit(piece, at);
      at += piece.blockBytes;
    }
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

/** Keys and values of all layers on all ranks, in an order that plans alone decide. */
function piecesOf({ plans, memories, config: { headDim } }: RankSetup): Piece[] {
  return plans.flatMap(({ layers, kvType }, rank) =>
    layers.flatMap(({ arena, kvHeads, keysOffsetBytes, valuesOffsetBytes }) => {
      const bytes = new Uint8Array(memories[rank][arena].buffer);
      const of = { blocks: 1, kvHeads: lengthOf(kvHeads), headDim };
      const { keysBytes, valuesBytes } = kvBytes(kvType, of);
      return [
        { bytes, offsetBytes: keysOffsetBytes, blockBytes: keysBytes },
        { bytes, offsetBytes: valuesOffsetBytes, blockBytes: valuesBytes },
      ];
    })
  );
}

/** False when the file ends before, or cannot be read. */
function fill(descriptor: number, bytes: Uint8Array, offsetBytes: number): boolean {
  for (let done = 0; done < bytes.length;) {
    try {
      const count = readSync(descriptor, bytes, done, bytes.length - done, offsetBytes + done);
      if (count === 0) return false;
      done += count;
    } catch {
      return false;
    }
  }
  return true;
}
