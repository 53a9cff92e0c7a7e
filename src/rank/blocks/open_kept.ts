/** What guesses are made of, on the rank that leads: places for rows, and which tokens they are. */
import { ModelFormatError } from "../../base/errors.ts";
import type { TensorReader } from "../../gguf/tensor_reader.ts";
import type { GgufPart, GgufTensor } from "../../gguf/types.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import { KeptRows } from "./kept_rows.ts";

/** What of a rank's setup is looked at. */
export interface KeptSetup {
  readonly rankIndex: number;
  readonly plans: readonly RankPlan[];
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly parts: readonly GgufPart[];
  readonly memories: readonly (readonly WebAssembly.Memory[])[];
}

/**
 * Null: nothing guesses, or another rank leads.
 * @throws {ModelFormatError} when the list of tokens names one that there is not, or one twice.
 */
export function openKept(
  { rankIndex, plans, config, tensors, parts, memories }: KeptSetup,
  reader: TensorReader,
): KeptRows | null {
  const plan = plans[rankIndex];
  if (plan.guess === null || rankIndex > 0) return null;
  const { tokensTensor, tokenCount = 0 } = config.guess?.fusion ?? {};
  const tensor = tokensTensor && tensors.get(tokensTensor);
  const tokens = tensor ? readTokens(tensor, reader, { tokenCount, parts }) : null;
  return new KeptRows(plan, memories[rankIndex][0], { config, tokens });
}

function readTokens(
  tensor: GgufTensor,
  reader: TensorReader,
  { tokenCount, parts }: { tokenCount: number; parts: readonly GgufPart[] },
): Int32Array {
  const bytes = reader.readAll(tensor);
  const words = new BigInt64Array(bytes.buffer, 0, bytes.length / 8);
  const tokens = new Int32Array(words.length);
  const isListed = new Uint8Array(tokenCount);
  for (let i = 0; i < words.length; i++) {
    const token = Number(words[i]);
    const isToken = token >= 0 && token < tokenCount;
    if (!isToken || isListed[token] === 1) {
      throw new ModelFormatError(
        `Cannot use tensor "${tensor.name}" of the draft model: its number ${i} is ` +
          `${words[i]}, ${isToken ? "as an earlier one is" : `tokens are 0 to ${tokenCount - 1}`}` +
          ": get the file again or convert the model again",
        { offsetBytes: tensor.offsetBytes + 8 * i, path: parts[tensor.part]?.path },
      );
    }
    isListed[token] = 1;
    tokens[i] = token;
  }
  return tokens;
}
