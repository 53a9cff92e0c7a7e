/**
 * What layers do that keep states of sequences: a short convolution, scans over the tokens of each
 * sequence, and the gate behind them. Knows rows and places; nothing of layers.
 */
import { check } from "../../src/base/check.ts";
import { N } from "../../src/shapes/mod.ts";
import type { Constants } from "../pipelines.ts";
import type { Dispatch, ProgramBuilder } from "../program.ts";
import { bindRows, checkRows, type Rows } from "../rows.ts";
import type { StatePlaces } from "../state_places.ts";

/** Invocations of a workgroup of the convolution, and of one of the scans. */
const LANES = 64;
const SCAN_LANES = 256;
/** Numbers of a state that an invocation has. */
const OWN_STATES = 16;
/** Columns that nothing normalises together, of a workgroup of the gate; it has at most so many. */
const GATE_WIDTH = 256;
const GATE_LANES_MAX = 256;

export interface StateConvolutionArgs {
  /** [tokens, places.convolved]. */
  readonly x: Rows;
  readonly to: Rows;
  /** f32 [convolved, taps]. */
  readonly weights: GPUBuffer;
  /** f32 [convolved], or none. */
  readonly bias: GPUBuffer | null;
  readonly places: StatePlaces;
  /**
   * First come queries of so many groups, of `places.states` columns each, then as many keys: each
   * is divided by its length, and queries by √states; null: there are none.
   */
  readonly queries: { readonly groups: number; readonly epsilon: number } | null;
}

/** to = silu(convolution of x + bias), of each sequence by itself. */
export function stateConvolution(builder: ProgramBuilder, args: StateConvolutionArgs): void {
  const { x, to, weights, bias, places, queries } = args;
  const { convolved: width, taps, placeFloats, states, buffer } = places;
  const part = queries === null ? LANES : states;
  const { input, gpu } = builder;
  checkRows(x, width);
  checkRows(to, width);
  byKind(builder, {
    kernel: "state_convolution",
    constants: {
      ...{ WIDTH: width, TAPS: taps, PLACE: placeFloats, HAS_BIAS: bias !== null, PART: part },
      ...{ QUERIES: queries?.groups ?? 0, QUERY_SCALE: 1 / Math.sqrt(states) },
      EPSILON: queries?.epsilon ?? 0,
      ...{ X_START: x.column ?? 0, X_STRIDE: x.stride },
      ...{ TO_START: to.column ?? 0, TO_STRIDE: to.stride },
    },
    bindings: [
      ...[input.header, input.records, { buffer: weights }, { buffer: bias ?? gpu.nothing }],
      ...[bindRows(x), bindRows(to), { buffer }],
    ],
    workgroups: [Math.ceil(width / part), N, 1],
  });
}

/** What both scans have. */
interface ScanArgs {
  /** [tokens, channels]: what comes out. */
  readonly to: Rows;
  /** Channels of a head, and groups of heads. */
  readonly headDim: number;
  readonly groups: number;
  readonly places: StatePlaces;
}

export interface ScanStatesArgs extends ScanArgs {
  /** [tokens, channels]. */
  readonly x: Rows;
  /** What writes and what reads, groups of `places.states` columns each; may be of x's rows. */
  readonly writes: Rows;
  readonly reads: Rows;
  /** Before their softplus, [tokens, heads]. */
  readonly steps: Rows;
  /** f32: biases of steps, what goes around, [heads] each, decays, [heads] or [heads, states]. */
  readonly vectors: GPUBuffer;
  /** Each number of a state has a decay of its own. */
  readonly hasDecayOfStates: boolean;
}

/**
 * to = what channels read of their states, token by token: Mamba's selective scan. Heads of a group
 * are neighbours.
 */
export function scanStates(builder: ProgramBuilder, args: ScanStatesArgs): void {
  const { x, writes, reads, steps, to, vectors, places, headDim, groups } = args;
  const { input, gpu } = builder;
  const isApartMade = writes.offsetBytes !== x.offsetBytes || writes.buffer !== x.buffer;
  checkRows(x, places.channels);
  for (const rows of [writes, reads]) checkRows(rows, groups * places.states);
  checkRows(steps, places.channels / headDim);
  check(writes.stride === reads.stride, "what writes and what reads lie side by side");
  addScan(builder, args, {
    kernel: "scan_states",
    constants: {
      ...{ A_OF_STATES: args.hasDecayOfStates, IS_APART_MADE: isApartMade },
      ...{ X_START: (x.column ?? 0) / 4, X_STRIDE: x.stride / 4 },
      ...{ WRITES_START: (writes.column ?? 0) / 4, READS_START: (reads.column ?? 0) / 4 },
      ...{ MADE_STRIDE: writes.stride / 4 },
      ...{ STEPS_START: steps.column ?? 0, STEPS_STRIDE: steps.stride },
    },
    bindings: [
      ...[input.header, input.records, { buffer: vectors }, bindRows(x)],
      // Nobody binds the same rows twice.
      isApartMade ? bindRows(writes) : { buffer: gpu.sink },
      ...[bindRows(steps), bindRows(to), { buffer: places.buffer }],
    ],
  });
}

export interface ScanDeltasArgs extends ScanArgs {
  /** Queries and keys of groups, of length 1 but for their scale, then values: all columns. */
  readonly x: Rows;
  /** How much is corrected, and steps, before their curves, [tokens, heads]: of the same rows. */
  readonly rates: Rows;
  readonly steps: Rows;
  /** f32: biases of steps, decays, [heads] each. */
  readonly vectors: GPUBuffer;
  /** Head h reads group h mod groups; else heads of a group are neighbours. */
  readonly inTurns: boolean;
}

/** The same of states that are corrected: the gated delta rule. */
export function scanDeltas(builder: ProgramBuilder, args: ScanDeltasArgs): void {
  const { x, rates, steps, to, vectors, places, groups } = args;
  const { input } = builder;
  checkRows(x, 2 * groups * places.states + places.channels);
  check(rates.offsetBytes === steps.offsetBytes, "rates and steps are of the same rows");
  addScan(builder, args, {
    kernel: "scan_deltas",
    constants: {
      IN_TURNS: args.inTurns,
      ...{ X_START: (x.column ?? 0) / 4, X_STRIDE: x.stride / 4 },
      ...{ RATES_START: rates.column ?? 0, STEPS_START: steps.column ?? 0 },
      INPUT_STRIDE: steps.stride,
    },
    bindings: [
      ...[input.header, input.records, { buffer: vectors }, bindRows(x)],
      ...[bindRows(steps), bindRows(to), { buffer: places.buffer }],
    ],
  });
}

/** A workgroup for some neighbouring channels of each sequence. */
function addScan(
  builder: ProgramBuilder,
  { to, places, headDim, groups }: ScanArgs,
  scan: Pick<Dispatch, "kernel" | "constants" | "bindings">,
): void {
  const { states, channels, placeFloats } = places;
  checkRows(to, channels);
  const parts = 2 ** Math.ceil(Math.log2(states / OWN_STATES));
  const columns = SCAN_LANES / Math.max(1, parts);
  const constants = {
    ...scan.constants,
    ...{ PLACE: placeFloats, STATE_START: placeFloats - channels * states },
    ...{ STATES: states, CHANNELS: channels, HEAD_DIM: headDim, GROUPS: groups },
    ...{ PARTS: SCAN_LANES / columns, COLUMNS: columns },
    ...{ TO_START: to.column ?? 0, TO_STRIDE: to.stride },
  };
  const across = Math.ceil(channels / columns);
  byKind(builder, { ...scan, constants, workgroups: [across, N, 1] }, [across, 1, 1]);
}

/** Of tokens of a sequence each, and of several of one; together: its grid, where it is another. */
function byKind(
  builder: ProgramBuilder,
  dispatch: Omit<Dispatch, "when">,
  together: Dispatch["workgroups"] = dispatch.workgroups,
): void {
  const ofSequences: Constants = { ...dispatch.constants, RECORD: builder.input.recordWords };
  for (const isApart of [true, false]) {
    builder.add({
      ...dispatch,
      constants: { ...ofSequences, IS_APART: isApart },
      workgroups: isApart ? dispatch.workgroups : together,
      when: { isApart },
    });
  }
}

/** How the outcome of a scan is normalised; the numbers are the shader's. */
const NORMS = { none: 0, behindGate: 1, beforeGate: 2 } as const;

export interface GateStatesArgs {
  /** [tokens, channels], in place. */
  readonly x: Rows;
  readonly channels: number;
  readonly gates: Rows;
  /**
   * Parts of so many channels are normalised, each by itself, behind the gate with a weight for
   * each channel, or before it with the same weights for all parts; null: nothing is.
   */
  readonly norm: {
    readonly place: "behindGate" | "beforeGate";
    readonly weight: GPUBuffer;
    readonly width: number;
    readonly epsilon: number;
  } | null;
}

/** x = norm(x ⊙ silu(gates)), or norm(x) ⊙ silu(gates). */
export function gateStates(builder: ProgramBuilder, args: GateStatesArgs): void {
  const { x, channels, gates, norm } = args;
  const width = norm?.width ?? GATE_WIDTH;
  checkRows(x, channels);
  checkRows(gates, channels);
  check(norm === null || channels % width === 0, "parts are whole");
  check(channels % 4 === 0 && width % 4 === 0, `${width} of ${channels} channels: not by fours`);
  // Eight neighbouring invocations have a piece of 32 columns together.
  const int8 = width % 32 === 0 ? builder.holdInt8(x, "tokens", channels) : null;
  builder.add({
    kernel: "gate_states",
    constants: {
      ...{ COLUMNS: channels, WIDTH: width, NORM: NORMS[norm?.place ?? "none"] },
      ...{ EPSILON: norm?.epsilon ?? 0, LANES: width > 4 * LANES ? GATE_LANES_MAX : LANES },
      ...{ GATES_START: (gates.column ?? 0) / 4, GATES_STRIDE: gates.stride / 4 },
      ...{ X_START: (x.column ?? 0) / 4, X_STRIDE: x.stride / 4, TO_INT8: int8 !== null },
    },
    bindings: [
      { buffer: norm?.weight ?? builder.gpu.nothing },
      ...[bindRows(gates), bindRows(x), { buffer: int8 ?? builder.gpu.sink }],
    ],
    ...int8 ? { keeps: x } : {},
    workgroups: [Math.ceil(channels / width), N, 1],
  });
}
