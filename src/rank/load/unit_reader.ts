/**
 * Reads a rank's share of a unit from end to end, piece by piece, while the next pieces are under
 * way; and puts pieces where whole matrices lie. One per arena. Knows nothing of slots.
 */
import type { Kernels } from "../../../wasm/kernels.ts";
import { alignUp, check } from "../../base/check.ts";
import { FAILED, PRIORITY_AHEAD, type Reads, SECTOR_BYTES_MAX } from "../../io/mod.ts";
import { DISK_BYTES, DISK_READS, DISK_WAIT_MS } from "../plan/counts.ts";
import type { Matrix } from "../bound/matrix.ts";
import type { OwnUnit } from "../plan/own_units.ts";
import type { StreamWorkspacePlan } from "../plan/stream_types.ts";
import type { StreamPlan } from "../plan/stream_types.ts";

/** Gets each piece: `count` bundles at `address`, from own position `first` on. */
export type VisitPiece = (address: number, first: number, count: number) => void;

/** Matrices that own neurons of a unit are put into; null: they are not wanted. */
export interface NaturalPlaces {
  readonly gate: Matrix | null;
  readonly up: Matrix | null;
  readonly down: Matrix | null;
}

export class UnitReader {
  readonly #by: {
    readonly arena: number;
    readonly memory: WebAssembly.Memory;
    readonly kernels: Kernels;
    readonly space: StreamWorkspacePlan;
    readonly stream: StreamPlan;
    readonly queue: Reads;
    /** What the rank counts: counts.ts. */
    readonly counts: Float64Array;
  };
  readonly #order: Uint32Array;
  readonly #tickets: Int32Array;
  /** Whose pieces are under way, how much of its stripes, and how many were asked for. */
  #unit: OwnUnit | null = null;
  #runs: Runs = { count: 0, stride: 0, length: 0, perPiece: 0, pieces: 0 };
  #asked = 0;
  #failure = "";

  constructor(by: {
    arena: number;
    memory: WebAssembly.Memory;
    kernels: Kernels;
    space: StreamWorkspacePlan;
    stream: StreamPlan;
    queue: Reads;
    counts: Float64Array;
  }) {
    this.#by = by;
    this.#order = new Uint32Array(by.memory.buffer, by.space.order, by.space.neuronCount);
    this.#tickets = new Int32Array(Math.floor(by.stream.rawBytes / by.stream.pieceBytes));
  }

  /** Why a piece could not be read, the last time that one could not. */
  get failure(): string {
    return this.#failure;
  }

  /** Asks for the first pieces of a unit that will be read next. */
  prefetch(unit: OwnUnit, perStripe = Infinity): void {
    if (this.#unit !== null) return;
    this.#unit = unit;
    this.#runs = runsOf(unit, perStripe, this.#by.stream.pieceBytes);
    this.#asked = 0;
    this.#askUpTo(this.#tickets.length);
  }

  /**
   * Reads the unit, or the first `perStripe` own bundles of each stripe.
   * @returns false when a piece could not be read: then it was not visited; the others were.
   */
  read(unit: OwnUnit, visit: VisitPiece, perStripe = Infinity): boolean {
    if (this.#unit !== unit) this.#drain();
    this.prefetch(unit, perStripe);
    const { queue, space, stream, counts } = this.#by;
    const runs = this.#runs;
    let isWhole = true;
    for (let piece = 0; piece < runs.pieces; piece++) {
      const place = piece % this.#tickets.length;
      const startMs = performance.now();
      const state = queue.wait(this.#tickets[place]);
      counts[DISK_WAIT_MS] += performance.now() - startMs;
      if (state === FAILED) {
        this.#failure = queue.failure(this.#tickets[place]);
        isWhole = false;
      } else {
        const first = firstOf(runs, piece);
        const address = space.raw + place * stream.pieceBytes +
          offsetOf(unit, first) % SECTOR_BYTES_MAX;
        visit(address, first, countOf(runs, piece));
      }
      this.#askUpTo(piece + 1 + this.#tickets.length);
    }
    this.#unit = null;
    return isWhole;
  }

  /** Puts a piece of a unit where matrices in natural order want it. */
  spread(
    unit: OwnUnit,
    piece: { address: number; first: number; count: number },
    to: NaturalPlaces,
  ): void {
    const { address, first, count } = piece;
    const { gate, up, down } = unit.bundles;
    const order = this.#order.subarray(0, count);
    order.set(unit.order.subarray(first, first + count));
    if (to.gate !== null && gate !== null) {
      this.#scatter(unit, address + gate.offsetBytes, count, to.gate);
    }
    if (to.up !== null) this.#scatter(unit, address + up.offsetBytes, count, to.up);
    if (to.down === null) return;
    for (let i = 0; i < count; i++) order[i] = unit.columns[order[i]];
    this.#scatter(unit, address + down.offsetBytes, count, to.down);
  }

  /** Makes zeros of down's columns that are a GPU's: whole blocks are read with what is between. */
  clear({ columns, count, columnCount }: OwnUnit, down: Matrix): void {
    if (count === columnCount) return;
    const bytes = new Uint8Array(this.#by.memory.buffer);
    const strideBytes = neuronBytes(down);
    for (let column = 0, neuron = 0; column < columnCount; column++) {
      if (columns[neuron] === column) neuron++;
      else {
        const at = down.offsetBytes + column * strideBytes;
        bytes.fill(0, at, at + strideBytes);
      }
    }
  }

  /** Rows of `to` = parts of the `count` bundles whose first part is at `source`. */
  #scatter(unit: OwnUnit, source: number, count: number, to: Matrix): void {
    const { kernels, space } = this.#by;
    const strideBytes = neuronBytes(to);
    const rows = to.layout === "rows" ? to.rowCount : to.columnCount;
    const own = to.layout === "rows" ? unit.count : unit.columnCount;
    check(rows === own, "the place has a row for every own neuron");
    const { bundleBytes } = unit.bundles;
    kernels.scatter_rows(
      source,
      bundleBytes,
      count,
      space.order,
      to.offsetBytes,
      strideBytes,
      rows,
      strideBytes,
    );
  }

  /** Asks for pieces of the unit until `count` of them were asked for. */
  #askUpTo(count: number): void {
    const unit = this.#unit;
    if (unit === null) return;
    const { queue, space, stream, arena, counts } = this.#by;
    const { bundleBytes } = unit.bundles;
    const runs = this.#runs;
    for (; this.#asked < Math.min(count, runs.pieces); this.#asked++) {
      const place = this.#asked % this.#tickets.length;
      const wanted = countOf(runs, this.#asked) * bundleBytes;
      const from = offsetOf(unit, firstOf(runs, this.#asked));
      const before = from % SECTOR_BYTES_MAX;
      const bytes = alignUp(before + wanted, SECTOR_BYTES_MAX);
      const to = space.raw + place * stream.pieceBytes;
      counts[DISK_READS]++;
      counts[DISK_BYTES] += bytes;
      this.#tickets[place] = queue.ask(PRIORITY_AHEAD, from - before, bytes, arena, to);
    }
  }

  /** Waits for pieces that nobody will want. */
  #drain(): void {
    if (this.#unit === null) return;
    for (let place = 0; place < Math.min(this.#asked, this.#tickets.length); place++) {
      this.#by.queue.wait(this.#tickets[place]);
    }
    this.#unit = null;
  }
}

/** From one neuron's part of a matrix in natural order to the next one's. */
function neuronBytes({ layout, columnStrideBytes, rowStrideBytes }: Matrix): number {
  return layout === "columns" ? columnStrideBytes : rowStrideBytes;
}

/** What is read of a unit: `count` runs of `length` own bundles, `stride` apart, in pieces. */
interface Runs {
  readonly count: number;
  readonly stride: number;
  readonly length: number;
  readonly perPiece: number;
  readonly pieces: number;
}

function runsOf(unit: OwnUnit, perStripe: number, pieceBytes: number): Runs {
  const perPiece = Math.floor((pieceBytes - 2 * SECTOR_BYTES_MAX) / unit.bundles.bundleBytes);
  const stripe = unit.count / unit.stripes;
  const isWhole = perStripe >= stripe && unit.gpuOfStripe === 0;
  const count = isWhole ? 1 : unit.stripes;
  const length = isWhole ? unit.count : Math.min(perStripe, stripe);
  const pieces = count * Math.ceil(length / perPiece);
  return { count, stride: stripe, length, perPiece, pieces };
}

/** Where the bundle at an own position is in the file. */
function offsetOf(unit: OwnUnit, position: number): number {
  const { offsetBytes, bundles: { bundleBytes }, order, bundleOf } = unit;
  return offsetBytes + bundleOf[order[position]] * bundleBytes;
}

/** Own position of the first bundle of a piece. */
function firstOf({ count, stride, length, perPiece, pieces }: Runs, piece: number): number {
  const perRun = pieces / count;
  const run = Math.floor(piece / perRun);
  return run * (count === 1 ? length : stride) + (piece - run * perRun) * perPiece;
}

/** Bundles of a piece. */
function countOf({ count, length, perPiece, pieces }: Runs, piece: number): number {
  const inRun = piece % (pieces / count);
  return Math.min(perPiece, length - inRun * perPiece);
}
