/**
 * Bytes that come back from the GPU: a buffer that can be mapped, filled behind a step's last
 * dispatch. What is read carries the number of its step: a submission that came to nothing is
 * noticed, whoever was told.
 */
import { check } from "../src/base/check.ts";
import { type Gpu, primeForReading, readPrimed } from "./device.ts";
import { GpuLostError } from "./errors.ts";

/** Before the data: the step's number, padded to the alignment of mappings. */
export const STAMP_BYTES = 8;

/** @param capacityBytes the most that comes back at once. */
export async function createReadBack(gpu: Gpu, capacityBytes: number): Promise<ReadBack> {
  const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
  const buffer = await gpu.createBuffer("read back", STAMP_BYTES + capacityBytes, usage);
  await primeForReading(buffer);
  return new ReadBack(gpu, buffer, capacityBytes);
}

export class ReadBack {
  readonly buffer: GPUBuffer;
  readonly capacityBytes: number;
  readonly #gpu: Gpu;
  #sequence = 0;
  #bytes = 0;
  #target: Float32Array = new Float32Array(0);

  constructor(gpu: Gpu, buffer: GPUBuffer, capacityBytes: number) {
    this.#gpu = gpu;
    this.buffer = buffer;
    this.capacityBytes = capacityBytes;
  }

  /** Is told by the program what is on its way. */
  expect(sequence: number, bytes: number): void {
    check(bytes <= this.capacityBytes, `${bytes} bytes read back, of ${this.capacityBytes}`);
    this.#sequence = sequence;
    this.#bytes = bytes;
  }

  /**
   * Waits for the step and copies what it left, in Deno.
   * @param goOn between the two: sends an idle GPU something that leaves this buffer alone.
   * @throws {GpuLostError} when the GPU is gone or the step came to nothing.
   */
  readInto(target: Float32Array, goOn?: () => void): void {
    check(this.#gpu.isQuick, "waiting on the spot works in Deno only");
    this.#target = target;
    readPrimed(this.#gpu, this.buffer, STAMP_BYTES + this.#bytes, this.#take, goOn);
  }

  /** As `readInto`, everywhere. */
  async readIntoLater(target: Float32Array): Promise<void> {
    this.#target = target;
    const mapped = this.buffer.mapAsync(GPUMapMode.READ, 0, STAMP_BYTES + this.#bytes);
    try {
      await mapped;
    } catch (error) {
      throw this.#gpu.lostError(error);
    }
    try {
      this.#take(this.buffer.getMappedRange(0, STAMP_BYTES + this.#bytes));
    } finally {
      this.buffer.unmap();
    }
  }

  readonly #take = (data: ArrayBuffer): void => {
    const stamp = new Uint32Array(data, 0, 1)[0];
    if (stamp !== this.#sequence) {
      throw new GpuLostError(
        `The GPU left out a step (${this.#gpu.failure ?? "it gave no reason"}): ` +
          `the request goes on on the CPU, or try again`,
      );
    }
    this.#target.set(new Float32Array(data, STAMP_BYTES, this.#bytes / 4));
  };

  destroy(): void {
    this.#gpu.destroyBuffer(this.buffer);
  }
}
