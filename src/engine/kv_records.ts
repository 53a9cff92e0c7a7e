/**
 * What a file of keys and values looks like, byte by byte, and where its parts lie in the ranks'
 * memories:
 *
 *   magic │ length │ subject (JSON: model, threads, shapes) │ record │ record …
 *   record: CRC-32 of the rest │ record before, or -1 │ exact │ ids i32 [32] │ keys, values …
 *
 * A record is a block: 32 positions. Knows nothing of files, and of blocks only their numbers.
 */
import { crc32 } from "../base/crc32.ts";
import { check } from "../base/check.ts";
import { MiB } from "../base/units.ts";
import { KV_BLOCK_POSITIONS as TOKENS } from "../memory/kv_layout.ts";
import type { RankSetup } from "../rank/open_rank.ts";
import { type KvPiece, piecesOf } from "./kv_pieces.ts";

/** "GKV2": it changes when what a block's bytes mean does (src/memory/kv_layout.ts). */
const MAGIC = 0x32564b47;
const PREFIX_BYTES = 8;
const SUBJECT_BYTES_MAX = MiB;
/** CRC, record before, exact, ids. */
const HEAD_BYTES = 12 + 4 * TOKENS;

/** What a record says beside keys and values. */
export interface RecordHead {
  /** Number of the record that it follows; -1: none. */
  readonly before: number;
  readonly isExact: boolean;
  /** i32 [32]. */
  readonly ids: Int32Array;
}

export class KvRecords {
  /** What a file of this model begins with. */
  readonly start: Uint8Array<ArrayBuffer>;
  readonly recordBytes: number;
  readonly #pieces: readonly KvPiece[];

  constructor(setup: RankSetup, modelFingerprint: string) {
    this.#pieces = piecesOf(setup);
    const pieces = this.#pieces.map(({ blockBytes }) => blockBytes);
    const [{ kvType }] = setup.plans;
    this.start = startOf({ modelFingerprint, kvType, threads: setup.plans.length, pieces });
    this.recordBytes = pieces.reduce((sum, bytes) => sum + bytes, HEAD_BYTES);
  }

  /** Makes `record` the one of a block of the pool. */
  fill(record: Uint8Array, block: number, { before, isExact, ids }: RecordHead): void {
    const view = viewOf(record);
    view.setInt32(4, before, true);
    view.setUint32(8, isExact ? 1 : 0, true);
    ids.forEach((id, i) => view.setInt32(12 + 4 * i, id, true));
    this.#eachPiece((piece, at) => {
      const from = piece.offsetBytes + block * piece.blockBytes;
      record.set(piece.bytes.subarray(from, from + piece.blockBytes), at);
    });
    view.setUint32(0, crc32(record.subarray(4)), true);
  }

  /** Puts the keys and values of `record` into a block of the pool. */
  unpack(record: Uint8Array, block: number): void {
    this.#eachPiece((piece, at) => {
      const to = piece.offsetBytes + block * piece.blockBytes;
      piece.bytes.set(record.subarray(at, at + piece.blockBytes), to);
    });
  }

  /** at: where the piece is in a record. */
  #eachPiece(visit: (piece: KvPiece, at: number) => void): void {
    let at = HEAD_BYTES;
    for (const piece of this.#pieces) {
      visit(piece, at);
      at += piece.blockBytes;
    }
  }
}

/** What a record says; null where its bytes are not what they were. */
export function readHead(record: Uint8Array): RecordHead | null {
  const view = viewOf(record);
  if (crc32(record.subarray(4)) !== view.getUint32(0, true)) return null;
  return {
    before: view.getInt32(4, true),
    isExact: view.getUint32(8, true) === 1,
    ids: Int32Array.from({ length: TOKENS }, (_, i) => view.getInt32(12 + 4 * i, true)),
  };
}

function startOf(subject: object): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(JSON.stringify(subject));
  check(text.length <= SUBJECT_BYTES_MAX, "a subject is short");
  const start = new Uint8Array(PREFIX_BYTES + text.length);
  viewOf(start).setUint32(0, MAGIC, true);
  viewOf(start).setUint32(4, text.length, true);
  start.set(text, PREFIX_BYTES);
  return start;
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
