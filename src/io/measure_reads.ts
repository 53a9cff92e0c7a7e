/** One thread's part of measuring a disk: reads for a while, as fast as it can. */
import { openDisk } from "./disk.ts";

export interface MeasureReads {
  readonly path: string;
  readonly sizeBytes: number;
  readonly durationMs: number;
  /** Random places; else one read behind the other, from this thread's part of the file on. */
  readonly random: boolean;
  /** This thread and how many there are. */
  readonly thread: number;
  readonly threads: number;
}

export interface MeasuredReads {
  readonly reads: number;
  /** False when the system's file cache could not be passed by: then it is what was measured. */
  readonly direct: boolean;
}

/**
 * Blocks the thread while it reads.
 * @throws {Error} when the file cannot be read.
 */
export function measureReads(options: MeasureReads): MeasuredReads {
  const { path, sizeBytes, durationMs, random, thread, threads } = options;
  const disk = openDisk(path);
  try {
    const pages = Math.ceil(sizeBytes / 65536);
    // Memory of WebAssembly begins at a page, as O_DIRECT wants it; arenas are shared, too.
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const view = new Uint8Array(memory.buffer);
    const places = Math.max(1, Math.floor(disk.sizeBytes / sizeBytes));
    const first = Math.floor(places * thread / threads);
    const endMs = performance.now() + durationMs;
    let reads = 0;
    while (performance.now() < endMs) {
      const place = random ? Math.floor(Math.random() * places) : (first + reads) % places;
      disk.read(view, 0, sizeBytes, place * sizeBytes);
      reads++;
    }
    return { reads, direct: disk.sectorBytes > 0 };
  } finally {
    disk.close();
  }
}
