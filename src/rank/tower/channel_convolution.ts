/**
 * A convolution of 3 · 3 over each number of rows that come out of a square image, added to them: a
 * rank does those that it has. Knows nothing of what made them.
 */
import { check } from "../../base/check.ts";
import { KERNEL_SIDE } from "../../model/plane.ts";
import { floats } from "../bound/arena_views.ts";
import type { ChannelsPlan } from "../plan/plan_channels.ts";
import { lengthOf } from "../plan/shard.ts";

export class ChannelConvolution {
  readonly #kernels: Float32Array;
  readonly #bias: Float32Array;
  readonly #count: number;
  /** All of the arena. */
  readonly #arena: Float32Array;
  /** What rows were, [rowsMax, own numbers]. */
  readonly #before: Float32Array;

  /** memory: where the plan's vectors are, and rows will be. */
  constructor(
    { kernels, bias }: ChannelsPlan,
    { memory, rowsMax }: { readonly memory: WebAssembly.Memory; readonly rowsMax: number },
  ) {
    const count = this.#count = lengthOf(bias.range);
    this.#kernels = floats(memory, kernels.offsetBytes, count * KERNEL_SIDE ** 2);
    this.#bias = floats(memory, bias.offsetBytes, count);
    this.#arena = floats(memory, 0, memory.buffer.byteLength / 4);
    this.#before = new Float32Array(rowsMax * count);
  }

  /** at [m, stride], own numbers: += bias + what is around each, zeros beyond an image's edges. */
  run(at: number, stride: number, m: number): void {
    const side = Math.sqrt(m), count = this.#count, from = at / 4;
    check(Number.isInteger(side), "rows of a square");
    for (let row = 0; row < m; row++) {
      const start = from + row * stride;
      this.#before.set(this.#arena.subarray(start, start + count), row * count);
    }
    for (let row = 0; row < m; row++) {
      const to = from + row * stride;
      for (let i = 0; i < count; i++) this.#arena[to + i] += this.#bias[i];
      this.#addAround(Math.floor(row / side), row % side, side, to);
    }
  }

  #addAround(y: number, x: number, side: number, to: number): void {
    const count = this.#count, taps = KERNEL_SIDE ** 2;
    for (let tap = 0; tap < taps; tap++) {
      const down = y + Math.floor(tap / KERNEL_SIDE) - 1, across = x + tap % KERNEL_SIDE - 1;
      if (down < 0 || down >= side || across < 0 || across >= side) continue;
      const from = (down * side + across) * count;
      for (let i = 0; i < count; i++) {
        this.#arena[to + i] += this.#kernels[i * taps + tap] * this.#before[from + i];
      }
    }
  }
}
