/**
 * One question in many words: from a template and a name to what a person may type, with synonyms,
 * greetings, dropped words and slips of the keyboard. Knows nothing of answers.
 */
import type { Facts, Intent } from "./facts.ts";
import { type Dice, expand } from "./draw.ts";

/** Kinds whose names are words of the command line, which have no synonyms. */
const LITERAL_KINDS = /@(?:verb|example|prints|flag|default)$/;

const BEFORE = [
  ...["hi", "hello", "hey", "ok", "sorry", "excuse me", "well", "hm", "so", "and", "please"],
  ...["hi there", "good morning", "one more thing", "quick question", "another question", "also"],
  ...["i have a question", "just wondering", "thanks", "thank you", "i am new here", "maybe"],
  ...["a question", "now", "then", "for my project", "in short", "tell me", "can you tell me"],
  ...["i would like to know", "could you explain", "do you happen to know", "i want to ask"],
];
const BEHIND = [
  ...["please", "thanks", "in ganglion", "with ganglion", "here", "for ganglion", "exactly"],
  ...["then", "now", "again", "in this project", "on my machine", "at all", "by the way"],
  ...["in a few words", "for me", "i forgot", "i wonder", "if i may ask", "thank you"],
];
/** Words that say nothing of what is asked. */
const EMPTY_WORDS = [
  "actually basically currently really just exactly properly easily automatically simply usually",
  "probably possibly apparently obviously however therefore somehow already still even also",
  "maybe perhaps typically normally finally specifically particularly completely directly",
  "quickly correctly safely nicely certainly surely definitely honestly frankly roughly",
  "precisely technically theoretically practically manually locally internally personally lately",
  "again now then here there too ever later first otherwise anyway whatsoever alone together",
].join(" ").split(" ");
/** Words that people leave out when they are in a hurry. */
const SMALL_WORDS = new Set(
  "the a an is are do does i to of it me my you for can what how in on that this".split(" "),
);
const SHORT_FORMS: readonly (readonly [RegExp, string])[] = [
  [/\b(what|who|where|how|it|that|there|here) is\b/g, "$1's"],
  [/\b(do|does|did|is|are|would|could|should|was) not\b/g, "$1n't"],
  [/\bcannot\b/g, "can't"],
  [/\b(i) am\b/g, "$1'm"],
  [/\b(i|you|we|they) have\b/g, "$1've"],
  [/\b(i|you|he|she|we|they) would\b/g, "$1'd"],
];

/** Names as those write them who care: `#punctuate` puts them in. */
const PROPER_NAMES = [
  "API CPU CPUs GPU GPUs RAM JSON HTTP URL URLs KV GGUF GGUFs LLM LLMs SSD CLI UI IP CORS SDK OS",
  "OpenAI Ollama Python Linux Windows macOS Mac Llama Mistral Qwen Gemma Phi Deno Node.js Chrome",
  "JavaScript TypeScript AssemblyScript WebAssembly WASM WebGPU SIMD NVIDIA CUDA AMD Firefox HTML",
  "ReLU dReLU SiLU GELU FFN MoE RoPE Q4_0 Q8_0 Q4_K_M F16 BF16 F32 V8 PowerInfer ChatGPT GPT AI",
  "English German French Spanish Internet Docker Ctrl-C MIT GiB GB BOS EOS BPE SentencePiece SSE",
  "HuggingFace Claude Gemini Wikipedia Kubernetes Bash LAN TCP PC Raspberry Ubuntu TS JS DNA CSS",
  "Mount Everest Eiffel Mona Lisa Bible Hamlet Mars Bitcoin Google Amazon Netflix",
  "MacBook ThinkPad Chromebook Node Hugging Face Safetensors Vulkan Metal TurboSparse iPad iPhone",
  "Monday Friday Saturday Sunday January March June July December Android Anna Tom Peter Maria",
  "Excel Photoshop Facebook Bamboo WiFi YouTube Roman Olympics Java Rust SQL Bluetooth WebUI",
  "Anthropic LoRA LoRAs HTTPS TLS SSL GBNF Prometheus Grafana HAProxy Codex Cline Aider Zed",
  "DeepSeek GLM Voxtral Whisper LLaVA Pixtral LangChain BERT BGE MP3 PNG JPEG RAG MCP VS IDE",
].join(" ").split(" ");
/** Slots whose words are names. */
const NAME_SLOTS = ["place", "person", "language"];
/** Words of names that stay small. */
const SMALL_IN_NAMES = new Set("the my of da van uncle president pope new".split(" "));
/** Words that are no part of a path, an option or a longer name. */
const NAME_LIKE = /(?<![\w./-])[a-z][\w.-]*\w(?![\w/-])/g;

/** What words that nobody knows are made of. */
const SYLLABLES = [
  "ac ad al am an ap ar as at ba be bi bo bra ca ce ci co con cu da de di dis do du ed en",
  "er es ex fa fe fi for fu ga ge gi go gra ha he hi ho im in ing ion ish it ju ka ke la le",
  "li lo lu ly ma me men mi mo mu na ne ni no nu ob of op or ous out pa pe pi pla po pre",
  "pro pu qui ra re ri ro ru sa se si so spe sta su ta te ten ti tion to tra tu un up ur va",
  "ve ver vi vo wa we wi wo ya ze",
].join(" ").split(" ");

/** How much a question is changed; `none` leaves every template as it is written. */
export type Care = "none" | "typed";

export class Asker {
  readonly #dice: Dice;
  readonly #synonyms: ReadonlyMap<string, readonly string[]>;
  readonly #fillers: readonly string[];
  /** Words of topics: without them nobody knows what a question is about. */
  readonly #topical: ReadonlySet<string>;

  /** Names as they are written, by how a hasty person types them. */
  readonly #proper: ReadonlyMap<string, string>;

  constructor(facts: Pick<Facts, "intents" | "synonyms" | "fillers" | "offTopic">, dice: Dice) {
    this.#dice = dice;
    this.#proper = properNames(facts.offTopic.slots);
    this.#fillers = facts.fillers;
    const plain = facts.intents.flatMap(({ names }) => names.filter((name) => !name.includes("(")));
    this.#topical = new Set(plain.join(" ").split(" "));
    const synonyms = new Map<string, string[]>();
    for (const set of facts.synonyms) {
      for (const word of set) synonyms.set(word, [...synonyms.get(word) ?? [], ...set]);
    }
    this.#synonyms = synonyms;
  }

  /** A question of this intent, its topic called `name` where one is given ("it"). */
  ask({ id, templates, names, lines }: Intent, care: Care, name?: string): string {
    const dice = this.#dice;
    const fromTemplate = templates.length > 0 && (name !== undefined || lines.length === 0 ||
      dice.chance(Math.max(0.45, 1 - lines.length / 20)));
    if (!fromTemplate) return this.finish(this.#reword(expand(dice.pick(lines), dice)), care);
    const called = name ?? expand(dice.pick(names), dice);
    const isLiteral = LITERAL_KINDS.test(id);
    const template = this.#reword(expand(dice.pick(templates), dice));
    return this.finish(template.replace("{x}", isLiteral ? called : this.#reword(called)), care);
  }

  /** What becomes of the words while they are typed. */
  finish(question: string, care: Care): string {
    const dice = this.#dice;
    let text = question;
    if (care === "typed") {
      text = this.#blur(text);
      if (dice.chance(0.12)) {
        text = `${dice.pick(BEFORE)}${dice.pick([", ", " ", ": ", "! "])}${text}`;
      }
      if (dice.chance(0.08)) text = `${text}${dice.pick([" ", ", "])}${dice.pick(BEHIND)}`;
      if (dice.chance(0.07)) {
        text = `${expand(dice.pick(this.#fillers), dice)}${
          dice.pick([". ", ", ", ": ", " and ", ". so "])
        }${text}`;
      }
      if (dice.chance(0.5)) {
        for (const [long, short] of SHORT_FORMS) text = text.replace(long, short);
      }
      if (dice.chance(0.07)) text = this.#slip(text);
    }
    return this.#punctuate(text);
  }

  /** At most one thing that takes words away or brings in others. */
  #blur(text: string): string {
    const drawn = this.#dice.next();
    if (drawn < 0.1) return this.#estrange(text);
    if (drawn < 0.16) return this.#hurry(text);
    if (drawn < 0.24) return this.#forget(text);
    return drawn < 0.36 ? this.#pad(text) : text;
  }

  /** Some words, or pairs of words, as others. */
  #reword(text: string): string {
    const words = text.split(" ");
    return words.map((word) => {
      const others = this.#synonyms.get(word);
      return others && this.#dice.chance(0.25) ? this.#dice.pick(others) : word;
    }).join(" ");
  }

  #hurry(text: string): string {
    const words = text.split(" ");
    if (words.length < 4) return text;
    const kept = words.filter((word) => !SMALL_WORDS.has(word) || this.#dice.chance(0.4));
    return kept.length > 1 ? kept.join(" ") : text;
  }

  /** One or two words left out, whichever: no single word should decide what is asked. */
  #forget(text: string): string {
    const words = text.split(" ");
    if (words.length < 6) return text;
    words.splice(this.#dice.below(words.length), 1 + this.#dice.below(2));
    return words.join(" ");
  }

  /** One word more that says nothing. */
  #pad(text: string): string {
    const words = text.split(" ");
    words.splice(this.#dice.below(words.length + 1), 0, this.#dice.pick(EMPTY_WORDS));
    return words.join(" ");
  }

  /** One word, of no topic, as one that was never heard: strangers use words of their own. */
  #estrange(text: string): string {
    const words = text.split(" ");
    const at = this.#dice.below(words.length);
    if (words.length < 4 || this.#topical.has(words[at])) return text;
    const count = 1 + this.#dice.below(3);
    words[at] = Array.from({ length: count }, () => this.#dice.pick(SYLLABLES)).join("");
    return words.join(" ");
  }

  /** One letter of one word swapped, lost or doubled. */
  #slip(text: string): string {
    const words = text.split(" ");
    const at = this.#dice.below(words.length);
    const word = words[at];
    if (!/^[a-z]{4,}$/i.test(word)) return text;
    const i = 1 + this.#dice.below(word.length - 2);
    const head = word.slice(0, i);
    words[at] = this.#dice.pick([
      head + word[i + 1] + word[i] + word.slice(i + 2),
      head + word.slice(i + 1),
      head + word[i] + word.slice(i),
    ]);
    return words.join(" ");
  }

  #punctuate(text: string): string {
    const dice = this.#dice;
    const end = dice.pick(["?", "?", "?", "", "", ".", " ?"]);
    if (dice.chance(0.4)) return text + (dice.chance(0.5) ? end : "");
    const named = dice.chance(0.7)
      ? text.replace(NAME_LIKE, (word) => this.#proper.get(word) ?? word)
      : text;
    const proper = named.replace(/\bi\b(?!-)/g, "I")
      .replace(/\bganglion\b/g, () => dice.chance(0.7) ? "Ganglion" : "ganglion");
    return proper.charAt(0).toUpperCase() + proper.slice(1) + end;
  }
}

function properNames(slots: ReadonlyMap<string, readonly string[]>): Map<string, string> {
  const words = NAME_SLOTS.flatMap((slot) => slots.get(slot) ?? []).join(" ").split(" ");
  const names = words.filter((word) => !SMALL_IN_NAMES.has(word))
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return new Map([...names, ...PROPER_NAMES].map((name) => [name.toLowerCase(), name]));
}
