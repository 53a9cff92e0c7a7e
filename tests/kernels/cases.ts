/**
 * The one list of kernels: per export of kernels.wasm how it is swept against its slow twin, and a
 * small legal call from which the out-of-range tests start. The benchmark and the coverage test
 * are loops over it.
 */
import type { Kernels } from "../../wasm/mod.ts";
import type { TestArena } from "./arena.ts";
import { activationCases } from "./cases_activations.ts";
import { attentionCases } from "./cases_attention.ts";
import { blockCases } from "./cases_blocks.ts";
import { chosenCases } from "./cases_chosen.ts";
import { columnCases } from "./cases_columns.ts";
import { convolutionCases } from "./cases_convolution.ts";
import { elementwiseCases } from "./cases_elementwise.ts";
import { floatMatmulCases } from "./cases_matmul_float.ts";
import { gatherCases } from "./cases_gather.ts";
import { keyedStateCases } from "./cases_keyed_states.ts";
import { neuronCases } from "./cases_neurons.ts";
import { normCases } from "./cases_norms.ts";
import { quantisedMatmulCases } from "./cases_matmul_q8.ts";
import { rowCases } from "./cases_rows.ts";
import { samplingCases } from "./cases_sampling.ts";
import { sparseCases } from "./cases_sparse.ts";
import { deltaScanCases } from "./cases_delta_scan.ts";
import { stateSpaceCases } from "./cases_state_space.ts";

export interface KernelCase {
  readonly name: keyof Kernels;
  /** Which of several cases of that kernel. */
  readonly label?: string;
  /** Compares the kernel with its twin at the edges; throws when they differ. */
  readonly sweep: (arena: TestArena) => void;
  /** Arguments of a legal call with at least two rows; empty when it takes no addresses. */
  readonly legalCall: (arena: TestArena) => number[];
  /** Of the memory that a legal call finds room in. Left out: few. */
  readonly pages?: number;
  /** Which of those arguments are addresses. */
  readonly addresses: readonly number[];
  /** Which of them must trap when they are 2^32 - 1. */
  readonly counts: readonly number[];
}

export const KERNEL_CASES: readonly KernelCase[] = [
  ...rowCases,
  ...elementwiseCases,
  ...activationCases,
  ...normCases,
  ...gatherCases,
  ...quantisedMatmulCases,
  ...floatMatmulCases,
  ...attentionCases,
  ...chosenCases,
  ...blockCases,
  ...convolutionCases,
  ...deltaScanCases,
  ...keyedStateCases,
  ...stateSpaceCases,
  ...samplingCases,
  ...sparseCases,
  ...columnCases,
  ...neuronCases,
];
