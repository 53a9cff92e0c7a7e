/** A second, smaller model that guesses for the first: checked and planned, not loaded. */
import { UnsupportedModelError } from "../base/errors.ts";
import { openModelFile } from "../bundle/mod.ts";
import { hasIndependentRows } from "../engine/row_independence.ts";
import type { EngineDraft } from "../../workers/mod.ts";
import type { RankPlan } from "../rank/plan_types.ts";
import { createTokenizer } from "../tokenizer/mod.ts";
import type { Tokenizer } from "../tokenizer/types.ts";
import type { LoadOptions } from "./load_options.ts";
import { describeForUse, planModel } from "./plan_load.ts";
import { usedTensors } from "./used_tensors.ts";

/** The model that it guesses for. */
export interface GuessedFor {
  readonly plans: readonly RankPlan[];
  readonly tokenizer: Tokenizer;
  readonly module: WebAssembly.Module;
}

/**
 * Plans the draft model for the threads of the other one, as long a context as both have.
 * @throws {ModelFormatError} when its file is damaged.
 * @throws {UnsupportedModelError} when it has another vocabulary or cannot be used so.
 */
export function planDraft(path: string, { plans, tokenizer, module }: GuessedFor): EngineDraft {
  const { file, packed } = openModelFile(path);
  if (packed !== null) throw refusal(path, "it is a packed file: take its .gguf file");
  if (!hasIndependentRows(plans)) {
    throw refusal(
      path,
      "the model that it is for does not compute several tokens to the same bits as one (silent " +
        "neurons are left out, it is packed or on a GPU): leave out --draft-model, or try --dense",
    );
  }
  requireSameVocabulary(path, createTokenizer(file.metadata), tokenizer);
  const [{ contextLength: most, chunkTokens, sequences: parallel }] = plans;
  const trained = describeForUse(file, {}).config.contextLength;
  const contextLength = Math.min(most, trained);
  const options: LoadOptions = {
    ...{ contextLength, chunkTokens, parallel, threads: plans.length },
    ...{ predictor: "off", gpu: "off" },
  };
  const model = describeForUse(file, options);
  const own = planModel({ file, model }, module, options);
  const { config } = model;
  return { plans: own, config, tensors: usedTensors(file, model, own), parts: file.parts };
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
