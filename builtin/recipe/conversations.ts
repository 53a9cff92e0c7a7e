/**
 * Conversations to learn from: questions about Ganglion, small talk, stories and what cannot be
 * answered, drawn from a seed. Knows nothing of tokens.
 */
import { Asker, type Care } from "./ask.ts";
import { Dice, expand, fill, FondDice, Wheel } from "./draw.ts";
import type { Facts, Intent } from "./facts.ts";

export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** A chat, or a text that stands for itself. */
export type Conversation = readonly Message[] | string;

/** Messages as the model sees them: ChatML. */
export function renderChat(messages: readonly Message[]): string {
  return messages.map(({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`)
    .join("");
}

/** The text of a conversation. */
export function textOf(conversation: Conversation): string {
  return typeof conversation === "string" ? conversation : renderChat(conversation);
}

/** Shares of what turns are about; the rest is about Ganglion and the model itself. */
const SHARE = { plainStories: 0.006, stories: 0.025, offTopic: 0.11 };
const SHARE_OF_SYSTEM = 0.06;
const SHARE_OF_LONGER = 0.02;
const SHARE_OF_FOLLOW_UPS = 0.02;
const TURNS_MAX = 3;

const SYSTEM = [
  "You are a helpful assistant.",
  "You are Ganglion's built-in model.",
  "Answer briefly.",
  "You are a friendly assistant. Be concise.",
  "Be polite.",
];
/** How a topic is called once it has been talked about. */
const PRONOUNS = ["it", "it", "that", "this"];

export class Storyteller {
  readonly #facts: Facts;
  readonly #dice: Dice;
  /** For stories: where all ways to go on are alike, rounding decides. */
  readonly #fond: FondDice;
  readonly #asker: Asker;
  /** Intents by answer: answers that are asked for in many ways are drawn more often. */
  readonly #answers: Wheel<Wheel<Intent>>;
  /** Intents of one topic, where there are several. */
  readonly #topics: readonly (readonly Intent[])[];

  constructor(facts: Facts, seed: number) {
    this.#facts = facts;
    this.#dice = new Dice(seed);
    this.#fond = new FondDice(seed + 1);
    this.#asker = new Asker(facts, this.#dice);
    this.#answers = wheelOfAnswers(facts.intents);
    const templated = facts.intents.filter(({ names }) => names.length > 0);
    this.#topics = [...Map.groupBy(templated, ({ names }) => names[0]).values()]
      .filter((intents) => intents.length > 1);
  }

  /** The next conversation. */
  next(care: Care): Conversation {
    const dice = this.#dice;
    if (dice.chance(SHARE.plainStories)) return this.#story(new Map());
    const messages: Message[] = [];
    if (dice.chance(SHARE_OF_SYSTEM)) messages.push({ role: "system", content: dice.pick(SYSTEM) });
    if (dice.chance(SHARE_OF_FOLLOW_UPS)) return [...messages, ...this.#followUp(care)];
    const turns = dice.chance(SHARE_OF_LONGER) ? 2 + dice.below(TURNS_MAX - 1) : 1;
    for (let turn = 0; turn < turns; turn++) messages.push(...this.#turn(care));
    return messages;
  }

  #turn(care: Care): Message[] {
    const dice = this.#dice;
    const drawn = dice.next();
    if (drawn < SHARE.stories) return this.#storyTurn(care);
    if (drawn < SHARE.stories + SHARE.offTopic) return this.#refusal(care);
    const intent = this.#answers.spin(dice).spin(dice);
    return turnOf(this.#asker.ask(intent, care), intent.answer);
  }

  /** Two questions about one topic, the second of which does not name it. */
  #followUp(care: Care): Message[] {
    const intents = this.#dice.pick(this.#topics);
    const first = this.#dice.pick(intents);
    const second = this.#dice.pick(intents.filter((intent) => intent !== first));
    const pronoun = this.#dice.pick(PRONOUNS);
    return [
      ...turnOf(this.#asker.ask(first, care), first.answer),
      ...turnOf(this.#asker.ask(second, care, pronoun), second.answer),
    ];
  }

  #storyTurn(care: Care): Message[] {
    const { asks, slots } = this.#facts.stories;
    const fixed = new Map<string, string>();
    const ask = fill(expand(this.#dice.pick(asks), this.#dice), slots, this.#dice, fixed);
    return turnOf(this.#asker.finish(ask, care), this.#story(fixed));
  }

  /** A story; what `fixed` names is in it. */
  #story(fixed: Map<string, string>): string {
    const { answers, slots } = this.#facts.stories;
    const plot = expand(this.#fond.pick(answers), this.#fond);
    const hero = fixed.get("hero");
    const friends = slots.get("friend")!.filter((friend) => friend !== hero);
    return withArticles(
      fill(plot, new Map([...slots, ["friend", friends]]), this.#fond, fixed),
    );
  }

  #refusal(care: Care): Message[] {
    const { asks, answers, slots } = this.#facts.offTopic;
    const ask = fill(expand(this.#dice.pick(asks), this.#dice), slots, this.#dice);
    return turnOf(this.#asker.finish(ask, care), this.#dice.pick(answers));
  }
}

/** As many ways to ask as templates are worth, and what share of them a line of small talk is. */
const WAYS_OF_TEMPLATES = 12;
const SMALL_TALK = 0.3;

function wheelOfAnswers(intents: readonly Intent[]): Wheel<Wheel<Intent>> {
  const groups = [...Map.groupBy(intents, ({ answer }) => answer).values()];
  return new Wheel(groups.map((group) => {
    const ways = group.map(({ id, lines, templates }) => {
      if (id.endsWith("@say")) return SMALL_TALK * lines.length;
      return lines.length + (templates.length > 0 ? WAYS_OF_TEMPLATES : 0);
    });
    const all = ways.reduce((sum, each) => sum + each, 0);
    return [new Wheel(group.map((intent, i) => [intent, ways[i]])), Math.sqrt(all)];
  }));
}

function turnOf(question: string, answer: string): Message[] {
  return [
    { role: "user", content: withArticles(question) },
    { role: "assistant", content: answer },
  ];
}

/** "a owl" → "an owl". */
function withArticles(text: string): string {
  return text.replace(/\b([Aa]) (?=(?:owl|elephant|old|apple|essay|email)\b)/g, "$1n ");
}
