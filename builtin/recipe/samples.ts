/**
 * Conversations as ids, each id with how much it counts when it is predicted. Knows what is hard to
 * learn; knows nothing of what is said.
 */
import type { Tokenizer } from "../../src/tokenizer/mod.ts";
import { type Conversation, type Message, textOf } from "./conversations.ts";
import type { Dice } from "./draw.ts";
import { SPECIAL } from "./model_file.ts";

/** What the model sees at once. */
export interface Sample {
  readonly ids: readonly number[];
  /** Of each id; 0 where it is given. */
  readonly weights: readonly number[];
  /** Of each id of a question, the number of its answer; 0 elsewhere. */
  readonly topics: readonly number[];
}

/** Numbers answers from 2 on; 1 is every text that is no answer of the facts. */
export class Topics {
  readonly #numbers: ReadonlyMap<string, number>;

  constructor(answers: Iterable<string>) {
    this.#numbers = new Map([...new Set(answers)].map((answer, i) => [answer, i + 2]));
  }

  of(answer: string): number {
    return this.#numbers.get(answer) ?? 1;
  }
}

const CONTEXT_MAX = 256;
/** The first ids of an answer decide which answer it is. */
const DECISIVE_IDS = 3;
const DECISIVE_WEIGHT = 5;
/** Most answers end early: how they go on is learned soon. */
const CUT_SHARE = 0.88;
const CUT_IDS = 3;
/** Some texts are followed by what follows a text: nothing, for as long as one asks. */
const TAIL_SHARE = 0.06;
const TAIL_IDS_MAX = 60;
/** Some are no text at all, and end. */
const NOISE_SHARE = 0.01;
const NOISE_IDS_MAX = 80;

const [END_OF_TEXT, IM_START, IM_END] = SPECIAL.map((_, id) => id);

/** The conversation to learn from, or, now and then, something that is none. */
export function sampleOf(
  conversation: Conversation,
  topics: Topics,
  tokenizer: Tokenizer,
  dice: Dice,
): Sample {
  if (dice.chance(NOISE_SHARE)) return noise(tokenizer, dice);
  const whole = weigh(conversation, topics, tokenizer);
  if (dice.chance(TAIL_SHARE)) return shorten(followByNothing(whole, dice), CONTEXT_MAX);
  if (typeof conversation === "string" || !dice.chance(CUT_SHARE)) {
    return shorten(whole, CONTEXT_MAX);
  }
  const begin = whole.weights.findLastIndex((weight, at) => {
    return weight > 0 && whole.weights[at - 1] === 0;
  });
  return shorten(whole, Math.min(begin + CUT_IDS, CONTEXT_MAX));
}

function weigh(conversation: Conversation, topics: Topics, tokenizer: Tokenizer): Sample {
  const ids = tokenizer.encode(textOf(conversation), { special: true });
  if (typeof conversation === "string") {
    ids.push(END_OF_TEXT);
    return { ids, weights: ids.map(() => 1), topics: ids.map(() => 0) };
  }
  const [assistant] = tokenizer.encode("assistant");
  // How many ids of the answer came already; -1 outside of answers.
  let answered = -1;
  const weights = ids.map((id, at) => {
    const weight = answered < 0 ? 0 : answered < DECISIVE_IDS ? DECISIVE_WEIGHT : 1;
    if (answered >= 0) answered++;
    if (id === IM_END) answered = -1;
    else if (ids[at - 2] === IM_START && ids[at - 1] === assistant) answered = 0;
    return weight;
  });
  return { ids, weights, topics: numberQuestions(ids, conversation, topics) };
}

function numberQuestions(
  ids: readonly number[],
  messages: readonly Message[],
  topics: Topics,
): number[] {
  const numbers = messages.map(({ role }, i) => {
    return role === "user" ? topics.of(messages[i + 1].content) : 0;
  });
  let message = -1;
  return ids.map((id) => {
    if (id === IM_START) message++;
    return numbers[message] ?? 0;
  });
}

function shorten({ ids, weights, topics }: Sample, count: number): Sample {
  return {
    ids: ids.slice(0, count),
    weights: weights.slice(0, count),
    topics: topics.slice(0, count),
  };
}

function followByNothing({ ids, weights, topics }: Sample, dice: Dice): Sample {
  const tail = new Array<number>(4 + dice.below(TAIL_IDS_MAX)).fill(END_OF_TEXT);
  // The line break that follows an answer's end is predicted, too.
  const known = weights.map((weight, at) => at === weights.length - 1 ? 1 : weight);
  return {
    ids: [...ids, ...tail],
    weights: [...known, ...tail.map(() => 1)],
    topics: [...topics, ...tail.map(() => 0)],
  };
}

function noise(tokenizer: Tokenizer, dice: Dice): Sample {
  const ids = Array.from({ length: 8 + dice.below(NOISE_IDS_MAX) }, () => {
    return SPECIAL.length + dice.below(tokenizer.vocabSize - SPECIAL.length);
  });
  const nothing = ids.map(() => 0);
  return followByNothing({ ids, weights: nothing, topics: nothing }, dice);
}
