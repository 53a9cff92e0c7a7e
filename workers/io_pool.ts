/** Threads that read a file into arenas for the ranks of an engine. Knows nothing of models. */
import { Board, type BoardSetup, createBoard, type FileStamp } from "../src/io/mod.ts";
import { WorkerCaller } from "./caller.ts";
import type { Calls } from "./protocol.ts";

export interface IoPoolOptions {
  readonly path: string;
  /** What the file must be; null: whatever it is. */
  readonly stamp: FileStamp | null;
  /** 0: ranks let the kernel read; the board says when reading ends. */
  readonly workerCount: number;
  /** [rank][arena]: where reads go. */
  readonly memories: readonly (readonly WebAssembly.Memory[])[];
  /** False: through the system's file cache. */
  readonly direct?: boolean;
  /** A thread died; ranks that wait for reads throw. */
  readonly onFailure?: (error: Error) => void;
}

/** How long threads get to leave by themselves: a read that is under way ends first. */
const CLOSE_MS_MAX = 1_000;

export class IoPool {
  /** What ranks make their queues of; they may ask before the threads are ready. */
  readonly board: BoardSetup;
  /** Settles when every thread has the file open; rejects when one has not. */
  readonly ready: Promise<void>;
  readonly #board: Board;
  readonly #callers: readonly WorkerCaller[];

  constructor(options: IoPoolOptions) {
    const { path, stamp, workerCount, memories, direct = true, onFailure } = options;
    this.board = createBoard({ rankCount: memories.length, workerCount });
    this.#board = new Board(this.board);
    const script = new URL("./io_worker.ts", import.meta.url);
    const numbers = [...Array(workerCount).keys()];
    this.#callers = numbers.map((worker) =>
      new WorkerCaller(script, `io-${worker}`, {
        onFailure: (error) => {
          this.#board.fail(worker); // one that died without a word has not done so
          onFailure?.(error);
        },
      })
    );
    this.ready = this.#open({ path, stamp, direct, memories });
    this.ready.catch(() => {}); // whoever awaits it hears of it
  }

  /** Not in the constructor: what hears of a thread's end would keep the memories with it. */
  async #open(what: Omit<Calls["serveReads"]["params"], "worker" | "board">): Promise<void> {
    await Promise.all(this.#callers.map(async (caller, worker) => {
      try {
        await caller.call("serveReads", { worker, board: this.board, ...what });
      } catch (error) {
        this.#board.fail(worker);
        throw error;
      }
    }));
  }

  /** Ends all threads; ranks that wait for reads throw. */
  async close(): Promise<void> {
    this.#board.close();
    await Promise.all(this.#callers.map((caller) => caller.close(CLOSE_MS_MAX)));
  }
}
