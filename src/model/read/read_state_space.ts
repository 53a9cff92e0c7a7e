/**
 * Layers that keep a state space of a sequence: its shape, which layers have one, and their
 * tensors. Knows keys, names and shapes; reads no weights.
 */
import { check } from "../../base/check.ts";
import type { StateSpaceChoices } from "../family.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import type { LayerReader } from "./layer_reader.ts";
import { requireUnits } from "./state_units.ts";
import { readLightning } from "./read_lightning.ts";
import { readTimeMix } from "./read_time_mix.ts";
import type { LayerConfig, StateSpaceConfig, StateSpaceTensors } from "../types.ts";

/** More are no short convolution: the kernels' bound. */
const TAPS_MAX = 32;

/** PLaMo 2's steps are made of so many numbers at least, and of one for so many of the width. */
const STEP_RANK_MIN = 64;
const STEP_RANK_PER = 16;

/**
 * The shape of all layers' state spaces.
 * @throws {ModelFormatError} when a key is missing or out of range.
 * @throws {UnsupportedModelError} when kernels cannot take the shape.
 */
export function readStateSpace(
  keys: Hyperparameters,
  choices: StateSpaceChoices,
): StateSpaceConfig {
  const { kind, headsTakeTurns = false, gatesBySigmoid } = choices;
  if (kind === "keyed" || kind === "added") return readTimeMix(keys, choices);
  if (kind === "keyDeltas") return readKeyDeltas(keys, choices);
  if (kind === "lightning") return readLightning(keys);
  if (kind === "channelHeads") return readChannelHeads(keys);
  const innerLength = keys.integer("ssm.inner_size", { min: 1 });
  const rank = keys.integer("ssm.time_step_rank", { min: 1, max: innerLength });
  const headCount = kind === "channels" ? innerLength : rank;
  const groupCount = kind === "channels" ? 1 : keys.integer("ssm.group_count", { min: 1 });
  if (innerLength % headCount !== 0) {
    throw keys.wrong("ssm.time_step_rank", `a divisor of the channels, ${innerLength}`);
  }
  if (headCount % groupCount !== 0) {
    throw keys.wrong("ssm.group_count", `a divisor of the heads, ${headCount}`);
  }
  const stateLength = keys.integer("ssm.state_size", { min: 1, max: 4095 });
  const channels = kind === "channels" ? innerLength : innerLength / headCount;
  requireUnits(channels, stateLength);
  return {
    kind,
    taps: keys.integer("ssm.conv_kernel", { min: 2, max: TAPS_MAX }),
    innerLength,
    stateLength,
    headCount,
    groupCount,
    headsTakeTurns,
    ...gatesBySigmoid && { gatesBySigmoid },
    stepRank: kind === "channels" ? rank : 0,
    normalizesInputs: kind === "channels" && keys.flag("ssm.dt_b_c_rms", false),
  };
}

/** The same of PLaMo 2, whose files say nothing of what steps are made of. */
function readChannelHeads(keys: Hyperparameters): StateSpaceConfig {
  const innerLength = keys.integer("ssm.inner_size", { min: 1 });
  const headCount = keys.integer("ssm.time_step_rank", { min: 1, max: innerLength });
  if (innerLength % headCount !== 0) {
    throw keys.wrong("ssm.time_step_rank", `a divisor of the channels, ${innerLength}`);
  }
  const stateLength = keys.integer("ssm.state_size", { min: 1, max: 4095 });
  requireUnits(innerLength / headCount, stateLength);
  const width = keys.integer("embedding_length", { min: 1 });
  return {
    kind: "channelHeads",
    taps: keys.integer("ssm.conv_kernel", { min: 2, max: TAPS_MAX }),
    ...{ innerLength, stateLength, headCount, groupCount: 1, headsTakeTurns: false },
    stepRank: Math.max(STEP_RANK_MIN, Math.floor(width / STEP_RANK_PER)),
    normalizesInputs: false,
  };
}

/** The same of Kimi Linear: as many heads as attend elsewhere, each with a square. */
function readKeyDeltas(
  keys: Hyperparameters,
  { wholeMatrices: whole, decayFloor }: StateSpaceChoices,
): StateSpaceConfig {
  const floor = decayFloor === undefined ? null : readDecayFloor(keys, decayFloor);
  const headCount = keys.integer("attention.head_count", { min: 1 });
  const stateLength = keys.integer("kda.head_dim", { min: 1, max: 4095 });
  requireUnits(stateLength);
  return {
    kind: "keyDeltas",
    taps: keys.integer("ssm.conv_kernel", { min: 2, max: TAPS_MAX }),
    ...{ innerLength: headCount * stateLength, stateLength },
    ...{ headCount, groupCount: headCount, headsTakeTurns: false },
    stepRank: whole?.steps && whole.gate ? 0 : stateLength,
    normalizesInputs: false,
    ...floor !== null && { decayFloor: floor },
  };
}

const FLOOR = "kda.gate_lower_bound";

/** Null: decays have none. */
function readDecayFloor(keys: Hyperparameters, which: "always" | "ifSaid"): number | null {
  if (which === "ifSaid" && !keys.has(FLOOR)) return null;
  if (!keys.flag("kda.safe_gate", true)) {
    throw keys.wrong("kda.safe_gate", "true: decays without a floor are not this family's");
  }
  const floor = keys.float(FLOOR, { min: -Infinity });
  if (floor < 0) return floor;
  throw keys.wrong(FLOOR, "below 0");
}

const INTERVAL = "full_attention_interval";
const RECURRENT = "attention.recurrent_layers";

/**
 * Which layers attend, of a model that says which do not, or how often one does; null: it is no
 * such model.
 * @throws {ModelFormatError} when it is no list of as many as there are blocks.
 */
export function attendsInTurns(
  keys: Hyperparameters,
  { kind }: StateSpaceChoices,
  blockCount: number,
): readonly boolean[] | null {
  if (kind !== "deltas" && kind !== "lightning") return null;
  const said = keys.value(RECURRENT);
  if (typeof said !== "object") {
    const interval = keys.integer(INTERVAL, { min: 1, absent: kind === "deltas" ? 4 : 8 });
    return Array.from({ length: blockCount }, (_, index) => (index + 1) % interval === 0);
  }
  const recurs = Array.from(said as ArrayLike<unknown>, (each) => each === true);
  if (recurs.length < blockCount) {
    throw keys.wrong(RECURRENT, `a list of yes and no for each of ${blockCount} blocks`);
  }
  return recurs.slice(0, blockCount).map((each) => !each);
}

/** Layers as they are, with what the family has in the place of attention or beside it. */
export function stateLayers(
  layers: readonly LayerConfig[],
  { attention, neurons }: StateSpaceChoices,
  by: {
    readonly attends: readonly boolean[] | null;
    readonly hasNeurons: readonly boolean[] | null;
  },
): readonly LayerConfig[] {
  return layers.map((layer, index): LayerConfig => {
    const { limits } = layer; // of neurons, which such a layer may have
    const nothing: LayerConfig = {
      slidingWindow: 0,
      rope: null,
      attends: false,
      ...limits && { limits },
    };
    if (neurons === "none") return { ...nothing, hasStates: true, hasNeurons: false };
    if (attention === "none") return { ...nothing, hasStates: true };
    if (attention === "beside") return { ...layer, hasStates: true };
    const hasNeurons = by.hasNeurons?.[index] ?? neurons !== "apart";
    const attends = by.attends?.[index] ?? true;
    const own = neurons === "apart" && !hasNeurons ? { hasNeurons } as const : {};
    if (neurons === "apart" && hasNeurons) return nothing;
    return attends ? { ...layer, ...own } : { ...nothing, ...own, hasStates: true };
  });
}

/** The tensors of a layer's state space, checked. */
export function stateSpaceTensors(reader: LayerReader): StateSpaceTensors {
  const { checker, config, family, at } = reader;
  const { stateSpace, embeddingLength: width } = config;
  check(stateSpace !== null && family.stateSpace !== null, "the model has state spaces");
  const { kind, innerLength, stateLength, headCount, groupCount, taps } = stateSpace;
  if (kind === "deltas") return deltaTensors(reader, stateSpace);
  if (kind === "channelHeads") return channelHeadTensors(reader, stateSpace);
  const isHeads = kind === "heads";
  const convolved = innerLength + (isHeads ? 2 * groupCount * stateLength : 0);
  const rows = innerLength + convolved + (isHeads ? headCount : 0);
  const hasNorm = isHeads &&
    (!family.stateSpace.mayLackNorm || firstHas(reader, "ssm_norm.weight"));
  return {
    input: checker.matrix(`${at}ssm_in.weight`, { rows, columns: width }),
    deltas: null,
    gateRow: isHeads ? 0 : innerLength,
    convolvedRow: isHeads ? innerLength : 0,
    convolution: checker.vector(`${at}ssm_conv1d.weight`, taps, convolved),
    convolutionBias: firstHas(reader, "ssm_conv1d.bias")
      ? checker.vector(`${at}ssm_conv1d.bias`, convolved)
      : null,
    shared: isHeads ? null : sharedTensors(reader, stateSpace),
    stepBias: checker.vector(`${at}ssm_dt.bias`, headCount),
    decay: isHeads
      ? checker.vector(`${at}ssm_a`, 1, headCount)
      : checker.vector(`${at}ssm_a`, stateLength, headCount),
    skip: isHeads
      ? checker.vector(`${at}ssm_d`, 1, headCount)
      : checker.vector(`${at}ssm_d`, headCount),
    norm: hasNorm
      ? checker.vector(`${at}ssm_norm.weight`, innerLength / groupCount, groupCount)
      : null,
    output: checker.matrix(`${at}ssm_out.weight`, { rows: width, columns: innerLength }),
  };
}

/** What some models have: all layers are like the first that keeps states. */
function firstHas({ checker, config: { layers } }: LayerReader, name: string): boolean {
  return checker.has(`blk.${layers.findIndex(({ hasStates }) => hasStates)}.${name}`);
}

/** Of a layer whose states are corrected. */
function deltaTensors(
  { checker, at, config: { embeddingLength: width } }: LayerReader,
  { innerLength, stateLength, headCount, groupCount, taps }: StateSpaceConfig,
): StateSpaceTensors {
  const convolved = innerLength + 2 * groupCount * stateLength;
  const matrix = (name: string, rows: number) =>
    checker.matrix(`${at}${name}.weight`, { rows, columns: width });
  const areMixed = checker.has(`${at}ssm_ba.weight`);
  const [rates, steps] = areMixed
    ? [matrix("ssm_ba", 2 * headCount), matrix("ssm_ba", 2 * headCount)]
    : [matrix("ssm_beta", headCount), matrix("ssm_alpha", headCount)];
  return {
    input: matrix("attn_qkv", convolved),
    deltas: { gate: matrix("attn_gate", innerLength), rates, steps, areMixed },
    ...{ gateRow: 0, convolvedRow: 0, shared: null, skip: null },
    convolution: checker.vector(`${at}ssm_conv1d.weight`, taps, convolved),
    convolutionBias: null,
    stepBias: checker.vector(`${at}ssm_dt.bias`, headCount),
    decay: checker.vector(`${at}ssm_a`, headCount),
    norm: checker.vector(`${at}ssm_norm.weight`, innerLength / headCount),
    output: checker.matrix(`${at}ssm_out.weight`, { rows: width, columns: innerLength }),
  };
}

/** Of PLaMo 2, whose norms have no suffix in the files of its converter. */
function channelHeadTensors(
  { checker, at, config: { embeddingLength: width } }: LayerReader,
  { innerLength, stateLength, headCount, taps, stepRank }: StateSpaceConfig,
): StateSpaceTensors {
  const norm = (name: string, length: number) => {
    const bare = `${at}ssm_${name}`;
    return checker.vector(checker.has(bare) ? bare : `${bare}.weight`, length);
  };
  return {
    input: checker.matrix(`${at}ssm_in.weight`, { rows: 2 * innerLength, columns: width }),
    ...{ deltas: null, gateRow: 0, convolvedRow: innerLength / headCount, isByHead: true },
    convolution: checker.vector(`${at}ssm_conv1d.weight`, taps, innerLength),
    convolutionBias: null,
    shared: {
      matrix: checker.matrix(`${at}ssm_x.weight`, {
        rows: stepRank + 2 * stateLength,
        columns: innerLength,
      }),
      rows: { input: 0, output: stateLength, step: 2 * stateLength },
      steps: checker.matrix(`${at}ssm_dt.weight`, { rows: headCount, columns: stepRank }),
      norms: {
        step: norm("dt_norm", stepRank),
        input: norm("b_norm", stateLength),
        output: norm("c_norm", stateLength),
      },
    },
    stepBias: checker.vector(`${at}ssm_dt.bias`, headCount),
    decay: checker.vector(`${at}ssm_a`, headCount),
    skip: checker.vector(`${at}ssm_d`, headCount),
    norm: null,
    output: checker.matrix(`${at}ssm_out.weight`, { rows: width, columns: innerLength }),
  };
}

/** What the first kind makes of all channels. */
function sharedTensors(
  reader: LayerReader,
  { innerLength, stateLength, stepRank }: StateSpaceConfig,
): StateSpaceTensors["shared"] {
  const { checker, at } = reader;
  const norm = (name: string, length: number) => checker.vector(`${at}ssm_${name}.weight`, length);
  return {
    matrix: checker.matrix(`${at}ssm_x.weight`, {
      rows: stepRank + 2 * stateLength,
      columns: innerLength,
    }),
    rows: { step: 0, input: stepRank, output: stepRank + stateLength },
    steps: checker.matrix(`${at}ssm_dt.weight`, { rows: innerLength, columns: stepRank }),
    norms: firstHas(reader, "ssm_dt_norm.weight")
      ? {
        step: norm("dt_norm", stepRank),
        input: norm("b_norm", stateLength),
        output: norm("c_norm", stateLength),
      }
      : null,
  };
}
