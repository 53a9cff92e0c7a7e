/**
 * A connection of Deno's as the duplex stream that `node:http` reads and writes. What it reads
 * ahead is one piece; what it has not written yet is the writer's to bound. Knows no HTTP.
 */
import { Duplex } from "node:stream";
import { concatBytes } from "../base/bytes.ts";

const READ_BYTES = 16_384;

/** A connection; destroying it closes it. */
export class ConnectionStream extends Duplex {
  readonly #connection: Deno.Conn;
  /** What is read next; one read at a time is under way. */
  readonly #piece = new Uint8Array(READ_BYTES);
  readonly encrypted: boolean;
  readonly remoteAddress: string;
  #isClosed = false;
  #restTimer: ReturnType<typeof setTimeout> | undefined;
  #restMs = 0;

  constructor(connection: Deno.Conn, { isEncrypted = false } = {}) {
    super({ allowHalfOpen: true, highWaterMark: READ_BYTES });
    this.#connection = connection;
    this.encrypted = isEncrypted;
    // A token waits for no other to fill its packet.
    (connection as Partial<Deno.TcpConn>).setNoDelay?.(true);
    this.remoteAddress = (connection.remoteAddr as Deno.NetAddr).hostname;
  }

  override _read(): void {
    this.#readPiece();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    this.#writeAll([chunk]).then(() => done(), done);
  }

  override _writev(
    chunks: readonly { readonly chunk: Uint8Array }[],
    done: (error?: Error) => void,
  ): void {
    this.#writeAll(chunks.map(({ chunk }) => chunk)).then(() => done(), done);
  }

  override _final(done: (error?: Error) => void): void {
    this.#connection.closeWrite().then(() => done(), () => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#restTimer);
    if (!this.#isClosed) this.#connection.close();
    this.#isClosed = true;
    done(error);
  }

  /** As `net.Socket`'s: "timeout" after so long without a byte read or written; 0: never. */
  setTimeout(ms: number): this {
    this.#restMs = ms;
    this.#rest();
    return this;
  }

  #rest(): void {
    clearTimeout(this.#restTimer);
    this.#restTimer = this.#restMs > 0
      ? setTimeout(() => this.emit("timeout"), this.#restMs)
      : undefined;
  }

  async #readPiece(): Promise<void> {
    try {
      const count = await this.#connection.read(this.#piece);
      if (this.#restMs > 0) this.#rest();
      this.push(count === null ? null : this.#piece.slice(0, count));
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  async #writeAll(chunks: readonly Uint8Array[]): Promise<void> {
    if (this.#restMs > 0) this.#rest();
    let rest = chunks.length === 1 ? chunks[0] : concatBytes(chunks);
    while (rest.length > 0) rest = rest.subarray(await this.#connection.write(rest));
  }
}
