/** Several residual streams, side by side in one row of each token: alternating updates. */
import { check } from "../../src/base/check.ts";
import { N } from "../../src/shapes/mod.ts";
import { STREAMS_MAX } from "../limits.ts";
import type { ProgramBuilder } from "../program.ts";
import { bindRows, checkRows, placeOf, type Rows } from "../rows.ts";

/** Values of a workgroup. */
const LANES = 64;

/** to = x, each row as long as that of `other`; zeros stay zeros. */
export function matchLengths(
  builder: ProgramBuilder,
  { x, other, to, width }: { x: Rows; other: Rows; to: Rows; width: number },
): void {
  for (const rows of [x, other, to]) checkRows(rows, width);
  const [own, wanted, target] = [placeOf(x), placeOf(other), placeOf(to)];
  builder.add({
    kernel: "match_lengths",
    constants: {
      WIDTH: width,
      ...{ X_START: own.start, X_STRIDE: own.stride },
      ...{ OTHER_START: wanted.start, OTHER_STRIDE: wanted.stride },
      ...{ TO_START: target.start, TO_STRIDE: target.stride },
    },
    bindings: [bindRows(x), bindRows(other), bindRows(to)],
    workgroups: [N, 1, 1],
  });
}

interface MixArgs {
  /** Side by side, each as wide as a row of `first` is from the next one. */
  readonly streams: Rows;
  readonly count: number;
  readonly width: number;
  /** Before tanh, [tokens, count]. */
  readonly modes: Rows;
}

/** Each stream, and all of them as much as modes say; first = the first of them. */
export function guessStreams(
  builder: ProgramBuilder,
  args: MixArgs & {
    /** f32 [count, count, count]. */
    readonly factors: GPUBuffer;
    readonly first: Rows;
  },
): void {
  const { streams, modes, factors, first } = args;
  builder.add({
    kernel: "guess_streams",
    constants: mixConstants(args, first),
    bindings: [bindRows(modes), { buffer: factors }, bindRows(streams), bindRows(first)],
    workgroups: [Math.ceil(args.width / LANES), N, 1],
  });
}

/** Guesses put right by what a layer made of the first; made = the first of them, scaled. */
export function correctStreams(
  builder: ProgramBuilder,
  args: MixArgs & {
    /** f32 [count, count]. */
    readonly factors: GPUBuffer;
    readonly made: Rows;
    /** f32 [width]. */
    readonly scale: GPUBuffer;
  },
): void {
  const { streams, modes, factors, made, scale } = args;
  builder.add({
    kernel: "correct_streams",
    constants: mixConstants(args, made),
    bindings: [
      ...[bindRows(modes), { buffer: factors }, { buffer: scale }],
      ...[bindRows(streams), bindRows(made)],
    ],
    workgroups: [Math.ceil(args.width / LANES), N, 1],
  });
}

function mixConstants({ streams, count, width, modes }: MixArgs, first: Rows) {
  check(count <= STREAMS_MAX, `${count} streams`);
  check(streams.stride === count * first.stride, "streams lie side by side");
  check(!streams.column && !first.column && !modes.column, "rows begin where they are bound");
  checkRows(modes, count);
  checkRows(first, width);
  return { WIDTH: width, STREAMS: count, STREAM_STRIDE: first.stride, MODES_STRIDE: modes.stride };
}
