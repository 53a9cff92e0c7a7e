/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** An I/O worker for threads_test.ts: a fake disk, and an end that is chosen. */
import { Board, type BoardSetup, ENDED_WORD } from "../../src/io/board.ts";
import { ReadServer } from "../../src/io/serve_reads.ts";
import { FakeDisk } from "../support/fake_disk.ts";
import { Rng } from "../support/rng.ts";

export interface FakeWorkerSetup {
  readonly worker: number;
  readonly board: BoardSetup;
  readonly memories: readonly (readonly WebAssembly.Memory[])[];
  /** Reads take up to so long. */
  readonly delayMsMax: number;
  /** What happens at the read of number `at` of this worker: it throws, reading is closed, or the
   * end is written down and nobody is told. */
  readonly end?: { readonly kind: "throw" | "close" | "mute"; readonly at: number };
}

self.onmessage = (event: MessageEvent<FakeWorkerSetup>) => {
  const { worker, board: setup, memories, delayMsMax, end } = event.data;
  const board = new Board(setup);
  const rng = new Rng(worker);
  let clockReads = 0;
  const disk = new FakeDisk({ delayMs: () => rng.int(delayMsMax + 1) });
  const server = new ReadServer({
    board: setup,
    disk,
    memories,
    // Looked at between a read and its settling.
    nowMs: () => {
      if (clockReads++ === end?.at) {
        if (end.kind === "throw") throw new Error("an end that was chosen");
        if (end.kind === "close") board.close();
        if (end.kind === "mute") Atomics.store(board.words, ENDED_WORD, 1);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
      }
      return Date.now();
    },
  });
  self.postMessage("ready");
  try {
    server.serve();
  } catch {
    board.fail(worker);
  }
  self.postMessage(disk.reads.length);
  self.close();
};
