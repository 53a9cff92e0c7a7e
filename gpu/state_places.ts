/**
 * States that a layer keeps of sequences, in places: a buffer, f32 [places, placeFloats]. A place
 * has the last rows of a short convolution, [taps − 1, convolved], and behind them the states,
 * [states, channels]: neighbouring channels, which neighbouring invocations have, lie side by side.
 * A step reads one place and writes another; the buffer cannot be copied from or to. Only kernels
 * write and read it.
 */
import { check } from "../src/base/check.ts";
import type { Gpu } from "./device.ts";
import { STATES_MAX } from "./limits.ts";

export interface StateShape {
  readonly places: number;
  readonly taps: number;
  /** Columns that are convolved. */
  readonly convolved: number;
  readonly channels: number;
  /** Numbers in the state of a channel: multiple of 4, at most STATES_MAX. */
  readonly states: number;
}

export interface StatePlaces extends StateShape {
  readonly buffer: GPUBuffer;
  readonly placeFloats: number;
}

/** Of all places. */
export function statePlacesBytes(shape: StateShape): number {
  return 4 * shape.places * placeFloats(shape);
}

/** @throws {GpuOutOfMemoryError} when the GPU has no room, or none in one piece. */
export async function createStatePlaces(
  gpu: Gpu,
  label: string,
  shape: StateShape,
): Promise<StatePlaces> {
  const { states, taps } = shape;
  check(states % 4 === 0 && states <= STATES_MAX, `states of ${states} numbers`);
  check(taps >= 2, `a convolution over ${taps} tokens`);
  const bytes = statePlacesBytes(shape);
  const buffer = await gpu.createBuffer(`${label} states`, bytes, GPUBufferUsage.STORAGE);
  return { ...shape, buffer, placeFloats: placeFloats(shape) };
}

function placeFloats({ taps, convolved, channels, states }: StateShape): number {
  return (taps - 1) * convolved + channels * states;
}
