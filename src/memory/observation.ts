/**
 * What the threads of an engine show of a text while it runs through the layers: one shared buffer,
 * of which every rank writes its neurons' columns, and which is read between steps, when nobody
 * writes. Knows what the numbers are called, not what they mean.
 *
 *   plane       elements   per layer
 *   fired       u8         [tokens, neurons]      1 where the neuron's activation is not zero
 *   gate        f32        [tokens, neurons]      before the activation (of up, without a gate)
 *   residual    f32        [tokens, embedding]    the stream as the feed-forward block finds it
 *   chosen      u8         [tokens, experts]      1 where the token goes to the expert
 *
 * Neurons of a mixture of experts are numbered expert by expert, the shared expert's last.
 */
import { alignUp, check } from "../base/check.ts";

/** What can be shown. */
export type Plane = "fired" | "gate" | "residual" | "chosen";

export interface ObservationSize {
  readonly planes: readonly Plane[];
  readonly layerCount: number;
  readonly neuronCount: number;
  readonly embeddingLength: number;
  /** Of a mixture; 0 where there are none. */
  readonly expertCount: number;
  /** Tokens of a step at most. */
  readonly chunkTokens: number;
  /** Most bytes of the buffer; fewer tokens a step fit into a smaller one. Default: 64 MiB. */
  readonly bytesMax?: number;
}

/** Where everything lies; plain data, the same on all threads. */
export interface ObservationPlan extends ObservationSize {
  /** Tokens that are shown at once: those of a step, or fewer, so that the buffer stays small. */
  readonly tokens: number;
  /** Byte offset of each plane that is shown. */
  readonly offsets: Readonly<Partial<Record<Plane, number>>>;
  readonly sizeBytes: number;
}

/** A plan and its buffer; can be posted. */
export interface Observation {
  readonly plan: ObservationPlan;
  readonly buffer: SharedArrayBuffer;
}

/** A layer's planes of n tokens, views of the shared buffer; empty where a plane is not shown. */
export interface LayerViews {
  readonly fired: Uint8Array;
  readonly gate: Float32Array;
  readonly residual: Float32Array;
  readonly chosen: Uint8Array;
}

/** More is not needed to keep threads busy; a token of a large model takes about a MiB. */
const BYTES_MAX_DEFAULT = 64 << 20;
const PLANE_ALIGN_BYTES = 64;
const ELEMENT_BYTES = { fired: 1, gate: 4, residual: 4, chosen: 1 } as const;

/** Lays out the buffer of an engine. */
function planObservation(size: ObservationSize): ObservationPlan {
  const perToken = size.planes.reduce((sum, plane) => sum + tokenBytes(size, plane), 0);
  const { bytesMax = BYTES_MAX_DEFAULT } = size;
  const fitting = Math.floor(bytesMax / Math.max(1, perToken * size.layerCount));
  const tokens = Math.max(1, Math.min(size.chunkTokens, fitting));
  const offsets: Partial<Record<Plane, number>> = {};
  let end = 0;
  for (const plane of size.planes) {
    offsets[plane] = end;
    end = alignUp(end + size.layerCount * tokens * tokenBytes(size, plane), PLANE_ALIGN_BYTES);
  }
  return { ...size, tokens, offsets, sizeBytes: end };
}

export function createObservation(size: ObservationSize): Observation {
  const plan = planObservation(size);
  return { plan, buffer: new SharedArrayBuffer(plan.sizeBytes) };
}

/** What `n` tokens of a step show of a layer. */
export function layerViews({ plan, buffer }: Observation, layer: number, n: number): LayerViews {
  check(layer < plan.layerCount && n <= plan.tokens, "a layer and tokens that are shown");
  const place = (plane: Plane): [at: number, length: number] => {
    const offset = plan.offsets[plane];
    if (offset === undefined) return [0, 0];
    return [
      offset + layer * plan.tokens * tokenBytes(plan, plane),
      n * tokenBytes(plan, plane) / ELEMENT_BYTES[plane],
    ];
  };
  return {
    fired: new Uint8Array(buffer, ...place("fired")),
    gate: new Float32Array(buffer, ...place("gate")),
    residual: new Float32Array(buffer, ...place("residual")),
    chosen: new Uint8Array(buffer, ...place("chosen")),
  };
}

function tokenBytes(size: ObservationSize, plane: Plane): number {
  return elementCount(size, plane) * ELEMENT_BYTES[plane];
}

/** Of one token. */
function elementCount(size: ObservationSize, plane: Plane): number {
  if (plane === "residual") return size.embeddingLength;
  return plane === "chosen" ? size.expertCount : size.neuronCount;
}
