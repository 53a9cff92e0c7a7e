/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/** A thread of measure_load.ts: reads its part of files into memory that nobody touched before. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { GiB, MiB } from "../../src/base/units.ts";
import { PAGE_BYTES } from "../../src/memory/arena.ts";

interface Request {
  readonly paths: readonly string[];
  readonly part: number;
  readonly parts: number;
}

const PIECE_BYTES = MiB / 2;
const MEMORY_BYTES = GiB;

/** Held until the thread ends: pages of what is freed would not be fresh. */
const memories: WebAssembly.Memory[] = [];

self.onmessage = ({ data: { paths, part, parts } }: MessageEvent<Request>) => {
  for (const path of paths) {
    const file = openSync(path, "r");
    const { size } = fstatSync(file);
    readInto(file, Math.floor(size * part / parts), Math.floor(size * (part + 1) / parts));
    closeSync(file);
  }
  self.postMessage("done");
};

function readInto(file: number, start: number, end: number): void {
  for (let at = start; at < end; at += MEMORY_BYTES) {
    const bytes = Math.min(MEMORY_BYTES, end - at);
    const pages = Math.ceil(bytes / PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    memories.push(memory);
    const view = new Uint8Array(memory.buffer, 0, bytes);
    for (let done = 0; done < bytes;) {
      done += readSync(file, view, done, Math.min(PIECE_BYTES, bytes - done), at + done);
    }
  }
}
