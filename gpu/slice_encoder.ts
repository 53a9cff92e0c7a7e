/**
 * The commands of a schedule's slices. While the GPU computes a token, the same slices are encoded
 * once more: where the next step is like this one, its commands are ready when its turn comes.
 * Knows grids and copies; nothing of when slices go to the GPU.
 */
import type { ReadBack } from "./read_back.ts";
import { STAMP_BYTES } from "./read_back.ts";
import type { Schedule } from "./schedule.ts";
import { SEQUENCE_OFFSET, type StepInput } from "./step_input.ts";

/** What comes back with a step. */
export interface ReadRequest {
  to: ReadBack;
  from: GPUBuffer;
  offsetBytes: number;
  bytes: number;
}

/** Units of a schedule, with the grids that it had. */
interface Slice {
  readonly unit: number;
  readonly endUnit: number;
  readonly version: number;
  readonly read: ReadRequest | undefined;
  readonly commands: GPUCommandBuffer;
}

export class SliceEncoder {
  readonly #device: GPUDevice;
  readonly #input: StepInput;
  readonly #schedule: Schedule;
  /** In the order in which they go to the GPU. */
  #ahead: Slice[] = [];

  constructor(device: GPUDevice, input: StepInput, schedule: Schedule) {
    this.#device = device;
    this.#input = input;
    this.#schedule = schedule;
  }

  /** Commands of units `unit` … `endUnit` − 1, and of a copy behind them. */
  take(unit: number, endUnit: number, read?: ReadRequest): GPUCommandBuffer {
    const ready = this.#ahead.shift();
    if (ready && this.#fits(ready, unit, endUnit, read)) return ready.commands;
    this.#ahead.length = 0;
    return this.#encode(unit, endUnit, read);
  }

  /** All commands, for whoever sends them himself. */
  encodeAll(): GPUCommandBuffer {
    return this.#encode(0, this.#schedule.unitEnds.length);
  }

  /** Encodes slices for a step like the one before. */
  encodeAhead(ends: readonly number[], read?: ReadRequest): void {
    this.#ahead.length = 0;
    const { version } = this.#schedule;
    for (const [index, endUnit] of ends.entries()) {
      const unit = index === 0 ? 0 : ends[index - 1];
      const own = index === ends.length - 1 ? read && { ...read } : undefined;
      const commands = this.#encode(unit, endUnit, own);
      this.#ahead.push({ unit, endUnit, version, read: own, commands });
    }
  }

  #fits(slice: Slice, unit: number, endUnit: number, read?: ReadRequest): boolean {
    const { read: own } = slice;
    return slice.unit === unit && slice.endUnit === endUnit &&
      slice.version === this.#schedule.version && own?.to === read?.to &&
      own?.from === read?.from && own?.offsetBytes === read?.offsetBytes &&
      own?.bytes === read?.bytes;
  }

  #encode(unit: number, endUnit: number, read?: ReadRequest): GPUCommandBuffer {
    const { unitEnds } = this.#schedule;
    const encoder = this.#device.createCommandEncoder();
    const end = endUnit === 0 ? 0 : unitEnds[endUnit - 1];
    this.#encodePass(encoder, unit === 0 ? 0 : unitEnds[unit - 1], end);
    if (read) this.#encodeCopy(encoder, read);
    return encoder.finish();
  }

  /** Dispatches `from` … `end` − 1. */
  #encodePass(encoder: GPUCommandEncoder, from: number, end: number): void {
    const { pipelines, groups, workgroups } = this.#schedule;
    const pass = encoder.beginComputePass();
    for (let i = from; i < end; i++) {
      const x = workgroups[3 * i];
      const y = workgroups[3 * i + 1];
      const z = workgroups[3 * i + 2];
      if (x === 0 || y === 0 || z === 0) continue;
      pass.setPipeline(pipelines[i]);
      pass.setBindGroup(0, groups[i]);
      pass.dispatchWorkgroups(x, y, z);
    }
    pass.end();
  }

  /** What comes back, behind the number of the step that it belongs to. */
  #encodeCopy(encoder: GPUCommandEncoder, { to, from, offsetBytes, bytes }: ReadRequest): void {
    encoder.copyBufferToBuffer(this.#input.buffer, SEQUENCE_OFFSET, to.buffer, 0, 4);
    if (bytes > 0) encoder.copyBufferToBuffer(from, offsetBytes, to.buffer, STAMP_BYTES, bytes);
  }
}
