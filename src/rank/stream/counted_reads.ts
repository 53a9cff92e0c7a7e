/** Reads of a few bytes each, joined with their neighbours and counted. Knows not what they are. */
import type { Reads } from "../../io/mod.ts";
import { DISK_BYTES, DISK_READS } from "../plan/counts.ts";

export class CountedReads {
  readonly #queue: Reads;
  /** What the rank counts: counts.ts. */
  readonly #counts: Float64Array;
  #lastTicket = -1;
  /** Where it ends in the file. */
  #lastEnd = 0;

  constructor(queue: Reads, counts: Float64Array) {
    this.#queue = queue;
    this.#counts = counts;
  }

  /** As `ReadQueue.merge`. */
  merge(
    priority: number,
    offsetBytes: number,
    sizeBytes: number,
    arena: number,
    address: number,
  ): number {
    const counts = this.#counts;
    const ticket = this.#queue.merge(priority, offsetBytes, sizeBytes, arena, address);
    const end = offsetBytes + sizeBytes;
    if (ticket === this.#lastTicket) { // it has joined the last one, with what lies between
      counts[DISK_BYTES] += end - this.#lastEnd;
    } else {
      counts[DISK_BYTES] += sizeBytes;
      counts[DISK_READS]++;
    }
    this.#lastEnd = end;
    return this.#lastTicket = ticket;
  }
}
