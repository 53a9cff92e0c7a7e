/**
 * Matrices of many layers that take turns in the GPU's memory: two sets of buffers as large as the
 * largest layer needs, and the layers' encoded bytes beside them on the host. Layers lie in the two
 * sets in turns, so that one is uploaded while the GPU computes with the one before it. Knows
 * nothing of what layers are.
 *
 * The GPU takes writes and commands in the order in which they are sent: bytes that are written
 * into a set come behind whatever was sent before to compute with it.
 */
import { check } from "../../src/base/check.ts";
import { MiB } from "../../src/base/units.ts";
import type { Gpu } from "../device.ts";
import { matrixBuffers, type MatrixHome, type MatrixShape } from "./matrix.ts";

/** Written at once. */
const PIECE_BYTES = 4 * MiB;

const SET_COUNT = 2;

/** Buffers that layers take turns in. */
interface BufferSet {
  readonly buffers: readonly GPUBuffer[];
  /** Whose weights it has, or is being given; -1: nobody's. */
  layer: number;
  /** How many of that layer's pieces were written. */
  written: number;
}

/** Bytes [offsetBytes, + data.length) of a buffer. */
interface Piece {
  readonly buffer: GPUBuffer;
  readonly offsetBytes: number;
  readonly data: Uint8Array<ArrayBuffer>;
}

/**
 * @param layers shapes of each layer's matrices, in the order in which they will be made.
 * @throws {GpuOutOfMemoryError} when the GPU has no room for two layers.
 */
export async function createWeightStream(
  gpu: Gpu,
  layers: readonly (readonly MatrixShape[])[],
): Promise<WeightStream> {
  const bytes = layers.map((shapes) => shapes.flatMap((shape) => matrixBuffers(gpu.limits, shape)));
  const bufferBytes = setBufferBytes(bytes);
  const sets: BufferSet[] = [];
  for (let set = 0; set < Math.min(SET_COUNT, layers.length); set++) {
    const buffers: GPUBuffer[] = [];
    for (const [index, size] of bufferBytes.entries()) {
      buffers.push(await gpu.createBuffer(`streamed ${set}.${index}`, size));
    }
    sets.push({ buffers, layer: -1, written: 0 });
  }
  return new WeightStream(gpu, sets, bytes);
}

/** Of the buffers of a set in which any of the layers finds room. */
function setBufferBytes(layers: readonly (readonly number[])[]): number[] {
  const most: number[] = [];
  for (const bytes of layers) {
    bytes.forEach((size, index) => most[index] = Math.max(most[index] ?? 0, size));
  }
  return most;
}

export class WeightStream {
  readonly layerCount: number;
  /** Of all layers on the host. */
  readonly hostBytes: number;
  /** Uploaded so far. */
  uploadedBytes = 0;
  readonly #gpu: Gpu;
  readonly #sets: readonly BufferSet[];
  /** Of each layer, a copy of what its buffers hold. */
  readonly #copies: readonly (readonly Uint8Array<ArrayBuffer>[])[];
  readonly #pieces: readonly (readonly Piece[])[];

  constructor(gpu: Gpu, sets: readonly BufferSet[], layers: readonly (readonly number[])[]) {
    this.#gpu = gpu;
    this.#sets = sets;
    this.layerCount = layers.length;
    this.#copies = layers.map((bytes) => bytes.map((size) => new Uint8Array(size)));
    this.#pieces = this.#copies.map((copies, layer) =>
      copies.flatMap((copy, index) => cut(this.#setOf(layer).buffers[index], copy))
    );
    this.hostBytes = layers.flat().reduce((sum, size) => sum + size, 0);
  }

  /** Where a layer's matrices are made: what is written to them stays on the host. */
  homeOf(layer: number): MatrixHome {
    const { buffers } = this.#setOf(layer);
    const copies = this.#copies[layer];
    let next = 0;
    return {
      limits: this.#gpu.limits,
      nothing: this.#gpu.nothing,
      createBuffer(label, bytes) {
        check(bytes === copies[next]?.length, `"${label}" is not the matrix that was announced`);
        return Promise.resolve(buffers[next++]);
      },
      destroyBuffer() {}, // they are the stream's
      write(buffer, offsetBytes, data) {
        copies[buffers.indexOf(buffer)].set(data, offsetBytes);
      },
    };
  }

  /** Sees to it that commands which are sent from now on find the layer's weights. */
  bring(layer: number): void {
    this.#upload(layer, Infinity);
  }

  /** Begins to bring the layer behind `layer` (the last: the first): what needs no wait. */
  bringNext(layer: number): void {
    this.#upload((layer + 1) % this.layerCount, this.#gpu.stagingRoom);
  }

  /** Writes pieces that are missing, as far as they are less than `bytes`. */
  #upload(layer: number, bytes: number): void {
    const set = this.#setOf(layer);
    if (set.layer !== layer) {
      set.layer = layer;
      set.written = 0;
    }
    const pieces = this.#pieces[layer];
    for (let left = bytes; set.written < pieces.length; set.written++) {
      const { buffer, offsetBytes, data } = pieces[set.written];
      left -= data.length;
      if (left <= 0) return;
      this.#gpu.write(buffer, offsetBytes, data);
      this.uploadedBytes += data.length;
    }
  }

  #setOf(layer: number): BufferSet {
    return this.#sets[layer % this.#sets.length];
  }
}

function cut(buffer: GPUBuffer, copy: Uint8Array<ArrayBuffer>): Piece[] {
  const pieces: Piece[] = [];
  for (let offsetBytes = 0; offsetBytes < copy.length; offsetBytes += PIECE_BYTES) {
    const data = copy.subarray(offsetBytes, offsetBytes + PIECE_BYTES);
    pieces.push({ buffer, offsetBytes, data });
  }
  return pieces;
}
