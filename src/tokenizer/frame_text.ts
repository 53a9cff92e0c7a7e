/** The marks around texts that a model reads as a whole: one by itself, or two together. */
import { appendSteps, type Steps } from "../base/steps.ts";
import { createSpecialTextBreaker } from "./special_breaker.ts";
import type { Tokenizer } from "./types.ts";

/** Two texts of which a model says how well the second answers the first. */
export interface TextPair {
  readonly query: string;
  readonly document: string;
}

/**
 * Ids of a text with the marks that the model wants around it: BOS before it, EOS behind it; of
 * BERT's vocabularies "[CLS]" and "[SEP]" whatever the file says, as llama.cpp has it. A mark that
 * is there already is not doubled.
 */
export function frameIds(tokenizer: Tokenizer, ids: readonly number[]): number[] {
  const { kind, bosId, eosId, separatorId, addBos, addEos } = tokenizer;
  const first = addBos || kind === "bert" ? bosId : null;
  const last = kind === "bert" ? separatorId : addEos ? eosId ?? separatorId : null;
  const framed = [...ids];
  if (first !== null && framed[0] !== first) framed.unshift(first);
  if (last !== null && framed[framed.length - 1] !== last) framed.push(last);
  return framed;
}

/**
 * Ids of a pair of texts: as the file's template has it, or with marks between them, "BOS query EOS
 * separator document EOS" of which the model may want but some. Neither text becomes a mark.
 */
export function* encodePair(
  tokenizer: Tokenizer,
  { query, document }: TextPair,
): Steps<number[]> {
  const { pairTemplate } = tokenizer;
  if (pairTemplate !== null) {
    const broken = createSpecialTextBreaker(tokenizer.specialTexts);
    const text = pairTemplate.replace(
      /\{(query|document)\}/g,
      (_, name) => broken(name === "query" ? query : document),
    );
    return yield* tokenizer.encodeSteps(text, { special: true });
  }
  const { bosId, eosId, separatorId } = tokenizer;
  const ids: number[] = [];
  const mark = (isWanted: boolean, id: number | null) => {
    if (isWanted && id !== null) ids.push(id);
  };
  const append = function* (text: string): Steps<void> {
    yield* appendSteps(yield* tokenizer.encodeSteps(text), ids);
  };
  mark(tokenizer.addBos, bosId);
  yield* append(query);
  mark(tokenizer.addEos, eosId ?? separatorId);
  mark(tokenizer.addSeparator, separatorId);
  yield* append(document);
  mark(tokenizer.addEos, eosId ?? separatorId);
  return ids;
}
