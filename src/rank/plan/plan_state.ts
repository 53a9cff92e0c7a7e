/**
 * A rank's share of state spaces: some heads' channels, what writes into their states and reads
 * from them, and the states themselves, in places that all layers number alike. Knows shards and
 * tensors.
 */
import { alignUp, check } from "../../base/check.ts";
import { SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import { areMadeOfAll } from "../../model/state_matrices.ts";
import type {
  DeltaTensors,
  MatrixTensor,
  ModelConfig,
  StateSpaceConfig,
  StateSpaceTensors,
} from "../../model/types.ts";
import { N } from "../../shapes/mod.ts";
import type { Placer } from "./plan_layer.ts";
import type { MatrixPlan, VectorPlan } from "./plan_types.ts";
import type { WorkspaceInput } from "./plan_workspace.ts";
import { lengthOf, type Range } from "./shard.ts";
import type { LastingTensor, StepGraphInput, StepTensor } from "./step_graph.ts";

/** A layer's share; what is for each channel or head is of own ones. */
export interface StateSpacePlan {
  readonly heads: Range;
  /** Rows of what gates, of what is convolved and of steps, as far as there are such: own ones. */
  readonly input: MatrixPlan;
  /** Of "deltas": what has matrices of its own. */
  readonly deltas: Readonly<Record<"gate" | "rates" | "steps", MatrixPlan>> | null;
  /** [taps, convolved rows]. */
  readonly convolution: VectorPlan;
  readonly convolutionBias: VectorPlan | null;
  readonly shared: {
    /** Columns of own channels: what it gives is added up over ranks. */
    readonly matrix: MatrixPlan;
    readonly steps: MatrixPlan;
    /** Of the matrix, the first of each part. */
    readonly rows: Readonly<Record<"step" | "input" | "output", number>>;
    readonly norms: Readonly<Record<"step" | "input" | "output", VectorPlan>> | null;
  } | null;
  readonly stepBias: VectorPlan;
  readonly decay: VectorPlan;
  readonly skip: VectorPlan | null;
  readonly norm: VectorPlan | null;
  readonly output: MatrixPlan;
  /** Bytes of one place, and where the first one is. */
  readonly placeBytes: number;
  readonly placesOffsetBytes: number;
}

/** Where intermediates of state spaces are; `WorkspacePlan` says how to read this. */
export interface StateWorkspace {
  /** [n, own input rows], and of that what is convolved, [n, convolved rows]. */
  readonly input: number;
  readonly convolved: number;
  readonly convolvedQ8: number;
  /** [n, own heads]. */
  readonly steps: number;
  /** What comes out, [n, stateStride], and as q8 tiles. */
  readonly out: number;
  readonly outQ8: number;
  /** What steps are made of, [n, rankStride], and as q8 tiles. */
  readonly rank: number;
  readonly rankQ8: number;
  /** What writes and what reads, [n, 2 · state]. */
  readonly made: number;
  /** What other ranks read: `exchangeFloats`. */
  readonly exchange: number;
  /** Of RWKV-7 the first layer's values, [n, own channels]. */
  readonly first: number;
}

/** Groups that heads read; neighbours may both have one at a border. */
export function groupsOf(heads: Range, { headCount, groupCount }: StateSpaceConfig): Range {
  if (lengthOf(heads) === 0) return { start: 0, end: 0 };
  const size = headCount / groupCount;
  return { start: Math.floor(heads.start / size), end: Math.floor((heads.end - 1) / size) + 1 };
}

/** Channels of heads. */
export function channelsOf(
  { start, end }: Range,
  { innerLength, headCount }: StateSpaceConfig,
): Range {
  const width = innerLength / headCount;
  return { start: start * width, end: end * width };
}

/** Where heads are in the file: those of a shard are numbered group by group. */
function headsInFile(
  heads: Range,
  { headCount, groupCount, headsTakeTurns }: StateSpaceConfig,
): readonly Range[] {
  if (!headsTakeTurns || lengthOf(heads) === 0) return [heads];
  const size = headCount / groupCount;
  check(heads.start % size === 0 && heads.end % size === 0, "a shard has whole groups");
  const { start, end } = { start: heads.start / size, end: heads.end / size };
  return Array.from({ length: size }, (_, turn) => ({
    start: turn * groupCount + start,
    end: turn * groupCount + end,
  }));
}

/** Rows that are convolved for some heads. */
export function convolvedRows(heads: Range, config: StateSpaceConfig): number {
  const { timeMix } = config;
  // Of RWKV the row before, whole on every rank: kept as a convolution's are.
  if (timeMix !== undefined) return timeMix.width * (timeMix.shiftsNeurons ? 2 : 1);
  const own = lengthOf(channelsOf(heads, config));
  if (areMadeOfAll(config)) return own;
  return own + 2 * lengthOf(groupsOf(heads, config)) * config.stateLength;
}

/** Rows that the input makes for some heads. */
export function inputRows(heads: Range, config: StateSpaceConfig): number {
  const keys = lengthOf(channelsOf(heads, config));
  if (config.kind === "keyed") return 7 * keys;
  if (config.kind === "added") return 6 * keys;
  if (config.kind === "keyDeltas") return 7 * keys + lengthOf(heads);
  if (config.kind === "lightning") return 4 * keys;
  const steps = { channels: 0, channelHeads: 0, heads: 1, deltas: 2 }[config.kind] *
    lengthOf(heads);
  return lengthOf(channelsOf(heads, config)) + convolvedRows(heads, config) + steps;
}

/** Bytes of what is kept of a sequence for some heads: rows of the convolution, then states. */
export function placeBytes(heads: Range, config: StateSpaceConfig): number {
  const rows = (config.taps - 1) * convolvedRows(heads, config);
  return 4 * (rows + lengthOf(channelsOf(heads, config)) * config.stateLength);
}

/** Of a row that steps are made of. */
export function rankStride({ stepRank }: StateSpaceConfig): number {
  return alignUp(stepRank, SUPERBLOCK_WEIGHTS);
}

/** Floats that ranks read of each other: sums of what is shared, or squares of groups twice. */
export function exchangeFloats(config: StateSpaceConfig | null, chunkTokens: number): number {
  if (config === null) return 0;
  const { kind, stepRank, stateLength, groupCount } = config;
  if (["keyed", "added", "keyDeltas", "lightning"].includes(kind)) return 0;
  return chunkTokens * (areMadeOfAll(config) ? stepRank + 2 * stateLength : 2 * groupCount);
}

/** Ranks have parts of the same group of a layer: what is summed up of it is over all of them. */
export function cutsGroups(
  plans: readonly { readonly layers: readonly { readonly stateSpace: StateSpacePlan | null }[] }[],
  layer: number,
  { headCount, groupCount }: StateSpaceConfig,
): boolean {
  return plans.some(({ layers }) => {
    const heads = layers[layer].stateSpace?.heads;
    return heads !== undefined && heads.end % (headCount / groupCount) !== 0;
  });
}

/** Lays a layer's share; keptBytes: of what places have more, behind states that are corrected. */
export function planStateSpace(
  place: Placer,
  tensors: StateSpaceTensors,
  { config, heads, keptBytes }: { config: ModelConfig; heads: Range; keptBytes: number },
): Omit<StateSpacePlan, "placesOffsetBytes"> {
  const { stateSpace: shape } = config;
  check(shape !== null, "the model has state spaces");
  if (tensors.deltas !== null) {
    return planDeltas(place, tensors, tensors.deltas, { shape, heads, keptBytes });
  }
  check(tensors.skip !== null, "something goes around the state");
  const channels = channelsOf(heads, shape);
  const convolved = convolvedRanges(heads, shape);
  const at = (range: Range, start: number) => scaled(range, 1, start);
  const inFile = (parts: Range[]) => tensors.isByHead ? channelsInTurn(heads, shape) : parts;
  const rows = [
    { start: tensors.gateRow, part: inFile([channels]) },
    { start: tensors.convolvedRow, part: inFile(convolved) },
    { start: tensors.input.rows - shape.headCount, part: shape.kind === "heads" ? [heads] : [] },
  ].sort((a, b) => a.start - b.start);
  const { shared } = tensors;
  const { taps, stateLength } = shape;
  const count = convolvedRows(heads, shape);
  const ofState = (range: Range) => scaled(range, shape.kind === "channels" ? stateLength : 1);
  return {
    heads,
    input: place.matrix(tensors.input, {
      rows: { start: 0, end: inputRows(heads, shape) },
      picked: filled(rows.flatMap(({ start, part }) => part.map((range) => at(range, start)))),
    }),
    deltas: null,
    convolution: {
      ...place.vector(
        tensors.convolution,
        { start: 0, end: count * taps },
        filled(convolved.map((range) => scaled(range, taps))),
      ),
      columns: taps,
    },
    convolutionBias: tensors.convolutionBias &&
      place.vector(tensors.convolutionBias, { start: 0, end: count }, filled(convolved)),
    shared: shared && {
      matrix: place.matrix(shared.matrix, { columns: channels }),
      steps: place.matrix(shared.steps, { rows: heads }),
      rows: shared.rows,
      norms: shared.norms && {
        step: place.vector(shared.norms.step),
        input: place.vector(shared.norms.input),
        output: place.vector(shared.norms.output),
      },
    },
    stepBias: place.vector(tensors.stepBias, heads),
    decay: place.vector(tensors.decay, ofState(heads)),
    skip: place.vector(tensors.skip, heads),
    norm: tensors.norm && place.vector(tensors.norm, channels),
    output: place.matrix(tensors.output, { columns: channels }),
    placeBytes: placeBytes(heads, shape),
  };
}

/** The same where states are corrected. */
function planDeltas(
  place: Placer,
  tensors: StateSpaceTensors,
  { gate, rates, steps, areMixed }: DeltaTensors,
  { shape, heads, keptBytes }: { shape: StateSpaceConfig; heads: Range; keptBytes: number },
): Omit<StateSpacePlan, "placesOffsetBytes"> {
  const { taps, stateLength, groupCount, headCount, innerLength } = shape;
  const width = innerLength / headCount;
  const groups = groupsOf(heads, shape);
  const own = headsInFile(heads, shape);
  const channels = own.map((range) => scaled(range, width));
  const keys = scaled(groups, stateLength);
  const convolved = filled([
    keys,
    scaled(keys, 1, groupCount * stateLength),
    ...channels.map((range) => scaled(range, 1, 2 * groupCount * stateLength)),
  ]);
  const count = lengthOf(heads);
  const rows = (matrix: MatrixTensor, picked: readonly Range[], length: number) =>
    place.matrix(matrix, { rows: { start: 0, end: length }, picked: filled(picked) });
  const size = headCount / groupCount;
  const ofGroups = (first: number) =>
    Array.from({ length: lengthOf(groups) }, (_, index) => {
      const start = (groups.start + index) * 2 * size + first;
      return { start, end: start + size };
    });
  const all = { start: 0, end: convolvedRows(heads, shape) * taps };
  return {
    heads,
    input: rows(tensors.input, convolved, convolvedRows(heads, shape)),
    deltas: {
      gate: rows(gate, channels, count * width),
      rates: rows(rates, areMixed ? ofGroups(0) : own, count),
      steps: rows(steps, areMixed ? ofGroups(size) : own, count),
    },
    convolution: {
      ...place.vector(tensors.convolution, all, convolved.map((range) => scaled(range, taps))),
      columns: taps,
    },
    ...{ convolutionBias: null, shared: null, skip: null },
    stepBias: place.vector(tensors.stepBias, { start: 0, end: count }, filled(own)),
    decay: place.vector(tensors.decay, { start: 0, end: count }, filled(own)),
    norm: tensors.norm && place.vector(tensors.norm),
    output: place.matrix(tensors.output, {
      columns: { start: 0, end: count * width },
      picked: filled(channels),
    }),
    placeBytes: placeBytes(heads, shape) + keptBytes,
  };
}

/** Of what is convolved: channels, and what writes and reads of groups. */
function convolvedRanges(heads: Range, config: StateSpaceConfig): Range[] {
  const { innerLength, stateLength, groupCount } = config;
  const channels = channelsOf(heads, config);
  if (areMadeOfAll(config)) return [channels];
  const groups = groupsOf(heads, config);
  const writes = scaled(groups, stateLength, innerLength);
  return [channels, writes, scaled(writes, 1, groupCount * stateLength)];
}

/** Channels of each head where those of gates lie between them. */
function channelsInTurn(heads: Range, { innerLength, headCount }: StateSpaceConfig): Range[] {
  const width = innerLength / headCount;
  return Array.from({ length: lengthOf(heads) }, (_, index) => {
    const start = (heads.start + index) * 2 * width;
    return { start, end: start + width };
  });
}

/** Nothing is read for ranges that are empty. */
function filled(ranges: readonly Range[]): Range[] {
  return ranges.filter((range) => lengthOf(range) > 0);
}

function scaled({ start, end }: Range, factor: number, offset = 0): Range {
  return { start: start * factor + offset, end: end * factor + offset };
}

/** Where intermediates are; at: the address of one of a name. */
export function stateWorkspace(at: (name: StepTensor | LastingTensor) => number): StateWorkspace {
  return {
    input: at("state.input"),
    convolved: at("state.convolved"),
    convolvedQ8: at("state.convolved.q8"),
    steps: at("state.steps"),
    out: at("state.out"),
    outQ8: at("state.out.q8"),
    rank: at("state.rank"),
    rankQ8: at("state.rank.q8"),
    made: at("state.made"),
    exchange: at("state.exchange"),
    first: at("state.first"),
  };
}

/** Bytes of intermediates. */
export function stateBytes(
  input: WorkspaceInput,
): Partial<StepGraphInput["bytes"]> {
  const { config: { stateSpace: shape }, widths: { states }, strides, chunkTokens, sizes } = input;
  if (shape === null) return {};
  if (shape.timeMix !== undefined) return timeMixBytes(input, shape);
  const floats = (perToken: number) => N.times(4 * perToken);
  const tile = (k: number) => sizes.q8_bytes(chunkTokens, Math.max(1, k));
  return {
    "state.input": floats(states.input),
    "state.convolved": floats(states.convolved),
    "state.steps": floats(states.heads),
    "state.out": floats(strides.states),
    "state.out.q8": tile(strides.states),
    "state.exchange": exchangeFloats(shape, chunkTokens) * 4,
    ...shape.kind === "keyDeltas" && {
      "state.rank": floats(rankStride(shape)),
      "state.rank.q8": tile(shape.stepRank),
    },
    ...areMadeOfAll(shape) && {
      "state.convolved.q8": tile(states.convolved),
      "state.rank": floats(rankStride(shape)),
      "state.rank.q8": tile(shape.stepRank),
      "state.made": floats(2 * shape.stateLength),
    },
  };
}

/** Of RWKV; what is shifted has the place of what is convolved. */
function timeMixBytes(
  { widths: { states }, strides, chunkTokens, sizes }: WorkspaceInput,
  shape: StateSpaceConfig,
): Partial<StepGraphInput["bytes"]> {
  const floats = (perToken: number) => N.times(4 * perToken);
  const tile = (k: number) => sizes.q8_bytes(chunkTokens, Math.max(1, k));
  return {
    "state.input": floats(states.input),
    "state.convolved": floats(strides.embedding),
    "state.convolved.q8": tile(shape.innerLength),
    // Of RWKV-6 shares of whole rows.
    "state.steps": floats(shape.kind === "added" ? strides.embedding : states.channels),
    "state.out": floats(strides.states),
    "state.out.q8": tile(strides.states),
    "state.rank": floats(rankStride(shape)),
    "state.rank.q8": tile(shape.stepRank),
    ...shape.kind === "keyed" && { "state.first": floats(states.channels) },
  };
}
