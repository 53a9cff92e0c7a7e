/**
 * The best logits of a token, and the id that a sampler would take of them, on the GPU: so the next
 * token can be computed before anybody has read this one's.
 */
import type { ProgramBuilder } from "../program.ts";
import { bindRows, checkRows, type Rows } from "../rows.ts";

/** Candidates that come back of a token; a sampler that looks at more is not served. */
export const CANDIDATES_MAX = 64;
/** Words of a token: its id, how many candidates, two zeros; their logits; their ids. */
export const CHOSEN_WORDS = 4 + 2 * CANDIDATES_MAX;
/** Words behind those of all tokens: a buffer's size is by 16 bytes. */
export const LAST_WORDS = 4;
/** The count of candidates where more than could be sorted were as good: choose.wgsl. */
export const TOO_MANY = 0xffffffff;

/** Logits of a row: kernels/parts/logit_keys.wgsl. */
const LANES = 256;
/** Logits that a workgroup looks at, where the vocabulary is no larger than so many parts. */
const PART_LOGITS = 4 * LANES;
const PARTS_MAX = 64;

export interface ChooseArgs {
  /** [1, width] of the only scored token. */
  readonly logits: Rows;
  readonly width: number;
  /** `chooseScratchBytes`. */
  readonly scratch: GPUBuffer;
  /** u32 [tokens of a chain, CHOSEN_WORDS], and LAST_WORDS. */
  readonly chosen: GPUBuffer;
}

/** chosen[index] = the best logits and an id; index and settings are in the step's header. */
export function chooseToken(
  builder: ProgramBuilder,
  { logits, width, scratch, chosen }: ChooseArgs,
): void {
  checkRows(logits, width);
  const { parts, partRows } = partsOf(width);
  const constants = { WIDTH: width, X_START: logits.column ?? 0, PART_ROWS: partRows };
  const maxima = { buffer: scratch };
  builder.add({
    kernel: "choose_maxima",
    constants,
    bindings: [bindRows(logits), maxima],
    workgroups: [parts, 1, 1],
  });
  builder.add({
    kernel: "choose",
    constants: { ...constants, PARTS: parts, LAST: lastWordOf(chosen) },
    bindings: [builder.input.header, bindRows(logits), maxima, { buffer: chosen }],
    workgroups: [1, 1, 1],
  });
}

/** Word of `chosen` from which on it says whose choice was the last one, and who comes next. */
export function lastWordOf({ size }: GPUBuffer): number {
  return size / 4 - LAST_WORDS;
}

/** Bytes between the two dispatches. */
export function chooseScratchBytes(width: number): number {
  return partsOf(width).parts * LANES * 4;
}

function partsOf(width: number) {
  const rows = Math.ceil(width / LANES);
  const most = Math.min(PARTS_MAX, Math.ceil(width / PART_LOGITS));
  const partRows = Math.ceil(rows / most);
  return { parts: Math.ceil(rows / partRows), partRows };
}
