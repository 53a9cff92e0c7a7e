/** Metadata keys to the shape of RWKV's states. Knows no tensors. */
import type { StateSpaceChoices } from "../family.ts";
import type { Hyperparameters } from "./hyperparameters.ts";
import { requireUnits } from "./state_units.ts";
import type { LayerConfig, StateSpaceConfig, TimeMixConfig } from "../types.ts";

/**
 * The shape of all layers' states: each head's is a square.
 * @throws {ModelFormatError} when a key is missing or out of range.
 * @throws {UnsupportedModelError} when kernels cannot take the shape.
 */
export function readTimeMix(
  keys: Hyperparameters,
  { kind, shiftsNeurons = false }: StateSpaceChoices,
): StateSpaceConfig {
  const width = keys.integer("embedding_length", { min: 1 });
  const stateLength = keys.integer("wkv.head_size", { min: 1, max: 4095 });
  if (width % stateLength !== 0) {
    throw keys.wrong("wkv.head_size", `a divisor of the width, ${width}`);
  }
  requireUnits(stateLength);
  const kept = shiftsNeurons ? 2 : 1;
  if (keys.integer("token_shift_count", { min: 1, absent: kept }) !== kept) {
    throw keys.wrong("token_shift_count", `${kept}, as in every model of its kind`);
  }
  const headCount = width / stateLength;
  const own = kind === "keyed"
    ? { ranks: readRanks(keys, { width, shiftsNeurons }) }
    : readMoved(keys, { width, headCount, shiftsNeurons });
  const moved = "moved" in own ? 5 * own.moved.rank : 0;
  return {
    ...{ kind, taps: 2, innerLength: width, stateLength },
    ...{ headCount, groupCount: headCount, headsTakeTurns: false },
    stepRank: Math.max(...Object.values(own.ranks), moved),
    normalizesInputs: false,
    timeMix: { width, shiftsNeurons, ...own },
  };
}

function readRanks(
  keys: Hyperparameters,
  { width, shiftsNeurons }: { width: number; shiftsNeurons: boolean },
): TimeMixConfig["ranks"] {
  const rank = (what: string, absent?: number) =>
    keys.integer(`attention.${what}_lora_rank`, { min: absent ?? 1, max: width, absent });
  return {
    decay: rank("decay"),
    rate: rank("iclr"),
    value: rank("value_residual_mix"),
    gate: rank("gate", shiftsNeurons ? undefined : 0),
  };
}

/** Of RWKV-6, whose first kind has heads with keys of their own. */
function readMoved(
  keys: Hyperparameters,
  { width, headCount, shiftsNeurons }: { width: number; headCount: number; shiftsNeurons: boolean },
): Required<Pick<TimeMixConfig, "ranks" | "moved">> {
  const rank = keys.integer("time_mix_extra_dim", { min: 1, max: width });
  const decay = keys.integer("time_decay_extra_dim", { min: 1, max: width });
  const key = "attention.head_count_kv";
  const said = shiftsNeurons ? 0 : keys.integer(key, { min: 0, max: headCount, absent: 0 });
  const keyHeads = said === 0 ? headCount : said;
  if (headCount % keyHeads !== 0) throw keys.wrong(key, `a divisor of the heads, ${headCount}`);
  return {
    ranks: { decay, rate: 0, value: 0, gate: 0 },
    moved: { rank, keyHeads, readsBefore: shiftsNeurons },
  };
}

/** Every so many layers the residual stream is halved, as the file says. */
export function rescaledLayers(
  keys: Hyperparameters,
  layers: readonly LayerConfig[],
): readonly LayerConfig[] {
  const period = keys.integer("rescale_every_n_layers", { min: 0, absent: 0 });
  return layers.map((layer, index) =>
    period > 0 && (index + 1) % period === 0 ? { ...layer, endScale: 0.5 } : layer
  );
}
