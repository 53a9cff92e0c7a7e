/** Queries that take what they want of all of a tower's rows (MiniCPM-V). Data only. */
import type { MatrixTensor, NormTensors, VectorTensor } from "./types.ts";

/**
 * One layer of attention of learned queries to a tower's rows. Keys are made of v + p, values of v,
 * v being norm(input · row) and p sines and cosines of a patch's column and row, half of the
 * numbers each: sin(place · w), then cos(place · w), w falling from 1 to almost 1/10000.
 */
export interface ResamplerConfig {
  /** Rows that come out, however many go in. */
  readonly queryCount: number;
  /** Numbers of a row between the tower and what comes out, E. */
  readonly width: number;
  readonly headDim: number;
  /** Of its norms, which are of layers. */
  readonly epsilon: number;
}

export interface ResamplerTensors {
  /** [queryCount, E], which are normalised first. */
  readonly queries: VectorTensor;
  readonly queryNorm: NormTensors;
  /** [E, d], and the norm of what it gives. */
  readonly input: MatrixTensor;
  readonly inputNorm: NormTensors;
  /** [E, E] each. */
  readonly query: MatrixTensor;
  readonly key: MatrixTensor;
  readonly value: MatrixTensor;
  readonly output: MatrixTensor;
}
