/** A second, smaller model that guesses for the first: checked and planned, not loaded. */
import { UnsupportedModelError } from "../base/errors.ts";
import { inTurns } from "../base/steps.ts";
import { formatBytes, formatNeeded } from "../base/units.ts";
import { openModelFile } from "../bundle/mod.ts";
import { independentRows } from "../engine/row_independence.ts";
import type { EngineDraft } from "../../workers/mod.ts";
import { openedAs } from "../gguf/mod.ts";
import type { GgufFile } from "../gguf/types.ts";
import { describeFused, isFused } from "../model/mod.ts";
import type { ModelConfig, ModelDescription } from "../model/types.ts";
import { planRanks } from "../rank/plan/plan.ts";
import type { RankPlan } from "../rank/plan/plan_types.ts";
import { createTokenizerSteps } from "../tokenizer/mod.ts";
import type { Tokenizer } from "../tokenizer/types.ts";
import type { LoadOptions } from "./load_options.ts";
import { memoryUse } from "./memory_use.ts";
import { bytesInMemory, describeForUse, planModel } from "./plan_load.ts";
import { rankOptionsFor } from "./rank_options.ts";
import { usedTensors } from "./used_tensors.ts";

/** The model that it guesses for. */
export interface GuessedFor {
  readonly file: GgufFile;
  readonly plans: readonly RankPlan[];
  readonly tokenizer: Tokenizer;
  readonly module: WebAssembly.Module;
  readonly config: ModelConfig;
}

/**
 * Plans the draft model for the threads of the other one, as long a context as both have.
 * @throws {ModelFormatError} when its file is damaged.
 * @throws {UnsupportedModelError} when it has another vocabulary, finds no room beside the other
 *   one, or cannot be used so.
 */
export async function planDraft(
  path: string,
  { plans, tokenizer, module, config, file: other }: GuessedFor,
  { memoryBytes = Infinity, besideBytes = 0 }: LoadOptions,
): Promise<EngineDraft> {
  if (independentRows(plans, { isObserved: false }) !== "all") {
    throw refusal(
      path,
      "the model that it is for does not compute several tokens to the same bits as one (silent " +
        "neurons are left out, it is packed or on a GPU): leave out --draft-model, or try --dense",
    );
  }
  if (config.source) {
    throw refusal(
      path,
      "the model that it is for answers a source, which a draft model knows nothing of: leave " +
        "out --draft-model",
    );
  }
  if (config.fill) {
    throw refusal(
      path,
      "the model that it is for fills in a text, which nothing is guessed for: leave out " +
        "--draft-model",
    );
  }
  if (plans[0].statePlaces > 0) {
    throw refusal(
      path,
      "layers of the model that it is for keep states of the text, which cannot go back behind " +
        "guesses that were wrong: leave out --draft-model",
    );
  }
  const { file, model, plans: own } = planBeside(path, plans, module, { file: other, config });
  if (model.config.stateSpace !== null) {
    throw refusal(
      path,
      "its layers keep states of the text, which cannot go back behind guesses that were wrong: " +
        "take a model that attends in all layers",
    );
  }
  // It may leave out whose tokens it guesses.
  if (!isFused(file) || file.metadata.has(TOKENS)) {
    const own = await inTurns(createTokenizerSteps(file.metadata), undefined);
    requireSameVocabulary(path, own, tokenizer);
  }
  const bytes = bytesInMemory(plans) + memoryUse(own).totalBytes + besideBytes;
  if (bytes > memoryBytes) {
    throw refusal(
      path,
      `both models take ${formatNeeded(bytes)}, more than ${formatBytes(memoryBytes)}: take ` +
        "a smaller one, or raise --memory",
    );
  }
  const tensors = usedTensors(file, model, own);
  return { plans: own, config: model.config, tensors, parts: file.parts };
}

/** The list of what its tokens are. */
const TOKENS = "tokenizer.ggml.tokens";

/** A model that guesses, planned. */
interface PlannedBeside {
  readonly file: GgufFile;
  readonly model: ModelDescription;
  readonly plans: RankPlan[];
}

/**
 * The draft model as threads would compute it beside a model of these plans. other: that model; a
 * draft model that reads its rows needs it.
 * @throws {UnsupportedModelError} when it cannot be.
 */
export function planBeside(
  path: string,
  plans: readonly RankPlan[],
  module: WebAssembly.Module,
  other: Pick<GuessedFor, "file" | "config">,
): PlannedBeside {
  const { file, packed } = openedAs("draft model", () => openModelFile(path));
  if (packed !== null) throw refusal(path, "it is a packed file: take its .gguf file");
  if (isFused(file)) return planFused(path, plans, module, { draft: file, other });
  const [{ contextLength: most, chunkTokens, sequences: parallel }] = plans;
  const trained = describeForUse(file, {}).config.contextLength;
  const contextLength = Math.min(most, trained);
  const options: LoadOptions = {
    ...{ contextLength, chunkTokens, parallel, threads: plans.length },
    ...{ predictor: "off", gpu: "off" },
  };
  const model = describeForUse(file, options);
  if (model.config.isEncoder) throw refusal(path, "it is an encoder, which guesses nothing");
  if (model.config.fill) throw refusal(path, "it fills in a text, and goes on with none");
  if (model.config.source) throw refusal(path, "it answers a source, and goes on with no text");
  return { file, model, plans: planModel({ file, model }, module, options) };
}

/** One that guesses with the other model's rows: its blocks are those of the other one. */
function planFused(
  path: string,
  plans: readonly RankPlan[],
  module: WebAssembly.Module,
  { draft, other }: {
    readonly draft: GgufFile;
    readonly other: Pick<GuessedFor, "file" | "config">;
  },
): PlannedBeside {
  const [{ contextLength, chunkTokens, sequences, kvBlocks }] = plans;
  const { file, model } = describeFused(draft, other, contextLength);
  const options: LoadOptions = {
    ...{ contextLength, chunkTokens, parallel: sequences, threads: plans.length },
  };
  const common = rankOptionsFor(model, module, options);
  const own = planRanks(model, file.tensors, { ...common, kvBlocks });
  const isNear = own.every(({ guess, layers: [layer] }) => guess?.arena === 0 && layer.arena === 0);
  if (!isNear) {
    throw refusal(path, "a thread's share of it is more than one memory: use more threads");
  }
  return { file, model, plans: own };
}

/** @throws {UnsupportedModelError} when an id does not mean the same in both. */
function requireSameVocabulary(path: string, own: Tokenizer, other: Tokenizer): void {
  if (own.vocabSize !== other.vocabSize) {
    throw refusal(
      path,
      `its vocabulary has ${own.vocabSize} tokens, the model's ${other.vocabSize}: take a draft ` +
        "model of the same family",
    );
  }
  for (let id = 0; id < own.vocabSize; id++) {
    if (own.pieceOf(id) === other.pieceOf(id)) continue;
    throw refusal(
      path,
      `token ${id} is ${JSON.stringify(own.pieceOf(id))} there and ` +
        `${JSON.stringify(other.pieceOf(id))} in the model: take a draft model of the same family`,
    );
  }
}

function refusal(path: string, why: string): UnsupportedModelError {
  return new UnsupportedModelError(`Cannot guess with the draft model "${path}": ${why}`);
}
