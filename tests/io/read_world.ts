/** Ranks, a board and workers of one thread: tests say whose turn it is. */
import { assertEquals } from "@std/assert";
import { Board, type BoardSetup, createBoard } from "../../src/io/board.ts";
import { ReadQueue, type ReadQueueOptions } from "../../src/io/read_queue.ts";
import { ReadServer } from "../../src/io/serve_reads.ts";
import { byteAt, FakeDisk, type FakeDiskOptions } from "../support/fake_disk.ts";

export interface WorldOptions {
  readonly ranks?: number;
  readonly workers?: number;
  readonly ringEntries?: number;
  readonly pages?: number;
  readonly disk?: FakeDiskOptions;
  readonly queue?: Partial<ReadQueueOptions>;
}

/** Everything that reads, with two arenas a rank. */
export class World {
  readonly board: Board;
  readonly setup: BoardSetup;
  readonly disk: FakeDisk;
  readonly queues: readonly ReadQueue[];
  readonly servers: readonly ReadServer[];
  readonly memories: readonly (readonly WebAssembly.Memory[])[];
  /** The clock that servers look at. */
  nowMs = 1_700_000_000_000;

  constructor(options: WorldOptions = {}) {
    const { ranks = 1, workers = 1, ringEntries = 64, pages = 4 } = options;
    this.setup = createBoard({ rankCount: ranks, workerCount: workers, ringEntries });
    this.board = new Board(this.setup);
    this.disk = new FakeDisk(options.disk);
    this.memories = times(ranks, () =>
      times(
        2,
        () => new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }),
      ));
    const queueOptions = { path: this.disk.path, ...options.queue };
    this.queues = times(ranks, (rank) => new ReadQueue(this.setup, rank, queueOptions));
    this.servers = times(workers, () =>
      new ReadServer({
        board: this.setup,
        disk: this.disk,
        memories: this.memories,
        nowMs: () => this.nowMs,
      }));
  }

  arena(rank: number, arena: number): Uint8Array {
    return new Uint8Array(this.memories[rank][arena].buffer);
  }

  /** The first worker serves what is there. */
  serveAll(): void {
    while (this.servers[0].take()) this.servers[0].finish();
  }
}

/** What a read must have left in an arena. */
export interface Expected {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  readonly address: number;
}

export function assertBytes(arena: Uint8Array, { offsetBytes, sizeBytes, address }: Expected) {
  for (let i = 0; i < sizeBytes; i++) {
    if (arena[address + i] === byteAt(offsetBytes + i)) continue;
    assertEquals(
      arena.slice(address, address + sizeBytes),
      Uint8Array.from({ length: sizeBytes }, (_, j) => byteAt(offsetBytes + j)),
      `bytes from ${offsetBytes} on at address ${address}`,
    );
  }
}

export function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}
