/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * Entry of an I/O worker's thread. Once its file is open it lives on the board (src/io/board.ts),
 * read after read, and hears no message until reading is ended.
 */
import { Board, measureReads, openDisk, ReadServer } from "../src/io/mod.ts";
import { answerCalls, errorData, leave, reply } from "./answer.ts";
import type { ReadSetup } from "./protocol.ts";

answerCalls("I/O", {
  serveReads(setup) {
    const disk = openDisk(setup.path, setup);
    const server = new ReadServer({ ...setup, disk });
    // After the answer to this call has gone out.
    setTimeout(() => {
      serve(server, setup);
      disk.close();
      leave();
    }, 0);
    return {};
  },
  measureReads,
  close() {
    leave();
    return {};
  },
});

function serve(server: ReadServer, { board, worker }: ReadSetup): void {
  try {
    server.serve();
  } catch (error) {
    new Board(board).fail(worker);
    reply({ kind: "failure", error: errorData(error, `I/O worker ${worker}`) });
  }
}
