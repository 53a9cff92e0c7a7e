/**
 * A network of convolutions that makes rows of a picture: MobileNet v5, which Gemma 3n sees with.
 * What it is, and how large what its blocks leave is. Data only.
 */
import type { MatrixTensor, NormTensors, VectorTensor } from "./types.ts";

/**
 * A picture's pixels go through a convolution of 3 · 3 that keeps every other row and column (norm,
 * gelu), and blocks, one after the other. What block `kept` leaves and what the last one does,
 * enlarged to the same square, go through `fusion` side by side; means of squares of that are
 * normalised, and are the rows. All norms are of a place's channels, RMS.
 */
export interface NetworkConfig {
  /** Pixels on a side of a picture, which comes as `rowsSide` · `rowsSide` patches, by lines. */
  readonly side: number;
  /** Rows that come out are of a square of so many on a side. */
  readonly rowsSide: number;
  readonly epsilon: number;
  /** Channels behind the first convolution. */
  readonly channels: number;
  readonly blocks: readonly NetworkBlock[];
  readonly kept: number;
  readonly fusion: InvertedBlock;
}

export type NetworkBlock = InvertedBlock | AskingBlock;

/**
 * x + gains ⊙ norm(second · h) of h = gelu(norm(mid(gelu(norm(first · norm(start(x))))))): start
 * and mid convolve each channel by itself. x is added where as much of it comes out as goes in.
 */
export interface InvertedBlock {
  readonly kind: "inverted";
  readonly channels: number;
  /** Channels between its matrices. */
  readonly hidden: number;
  readonly outputs: number;
  /** Rows and columns of the kernels of start, first and mid; 0: there is no start, or no mid. */
  readonly startSide: number;
  readonly side: 1 | 3;
  readonly midSide: number;
  /** Every so many rows and columns a place is kept: by mid, or by first where there is no mid. */
  readonly stride: 1 | 2;
}

/**
 * x + gains ⊙ output · what heads take of keys and values, which all heads share: of norm(x), or of
 * what a convolution of each channel by itself, which keeps every other row and column, and a norm
 * make of it.
 */
export interface AskingBlock {
  readonly kind: "asking";
  readonly channels: number;
  readonly headCount: number;
  readonly headDim: number;
  /** Rows and columns of these convolutions' kernels; 0: there are none. */
  readonly keySide: number;
}

/** Kernels [channels, side, side] of a convolution of each channel by itself, and its norm. */
export interface DepthwiseTensors {
  readonly kernels: VectorTensor;
  readonly norm: NormTensors;
}

export interface InvertedTensors {
  readonly start: DepthwiseTensors | null;
  /** Kernels are rows: channel by channel, each line by line. */
  readonly first: MatrixTensor;
  readonly firstNorm: NormTensors;
  readonly mid: DepthwiseTensors | null;
  readonly second: MatrixTensor;
  readonly secondNorm: NormTensors;
  /** [outputs]; null: all are 1. */
  readonly gains: VectorTensor | null;
}

export interface AskingTensors {
  readonly norm: NormTensors;
  readonly query: MatrixTensor;
  readonly key: { readonly down: DepthwiseTensors | null; readonly matrix: MatrixTensor };
  readonly value: AskingTensors["key"];
  readonly output: MatrixTensor;
  readonly gains: VectorTensor | null;
}

export interface NetworkTensors {
  /** With its bias, if it has one. */
  readonly stem: MatrixTensor;
  readonly stemNorm: NormTensors;
  /** As `NetworkConfig.blocks`. */
  readonly blocks: readonly (InvertedTensors | AskingTensors)[];
  readonly fusion: InvertedTensors;
  readonly lastNorm: NormTensors;
}

/** Rows, or columns, that are kept of so many. */
export function keptLength(length: number, stride: number): number {
  return Math.ceil(length / stride);
}

/** Rows of zeros above a plane, and columns left of it: as many as behind it, or one fewer. */
export function zerosBefore(length: number, side: number, stride: number): number {
  const lacks = (keptLength(length, stride) - 1) * stride + side - length;
  return Math.floor(Math.max(0, lacks) / 2);
}

/** Places on a side of what goes into each block, and of what the last one leaves. */
export function planeSides({ side, blocks }: NetworkConfig): number[] {
  const sides = [keptLength(side, 2)];
  for (const block of blocks) {
    sides.push(keptLength(sides.at(-1)!, block.kind === "inverted" ? block.stride : 1));
  }
  return sides;
}

/** True where what goes into a block is added to what it makes. */
export function addsInput({ channels, outputs, stride }: InvertedBlock): boolean {
  return channels === outputs && stride === 1;
}

/** All matrices: in files they are kernels. */
export function networkMatrices({ stem, blocks, fusion }: NetworkTensors): MatrixTensor[] {
  return [
    stem,
    ...[...blocks, fusion].flatMap((block) =>
      "first" in block
        ? [block.first, block.second]
        : [block.query, block.key.matrix, block.value.matrix, block.output]
    ),
  ];
}
