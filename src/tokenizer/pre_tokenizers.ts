/**
 * The pre-tokenizers by the names that `tokenizer.ggml.pre` uses: regular expressions that cut text
 * into words before byte-pair merging, each a fact of the models trained with it (their
 * tokenizer.json). Data only; `splitWords` applies it.
 *
 * Two things differ from how the models' files write them. `\s` is Unicode's White_Space here,
 * because JavaScript's own counts U+FEFF and leaves out U+0085. And no expression needs more than
 * linear time: where theirs would, ours says the same in another way.
 */

/** One way to cut. */
export interface Stage {
  readonly expression: RegExp;
  /** What matches is cut into pieces of so many characters, counted from its end; 0: it is not. */
  readonly charactersFromEnd: number;
}

/** How the models of one family cut text, and what else their name implies. */
export interface PreTokenizer {
  /**
   * Applied in turn, each to every piece that the one before left: what matches and what lies
   * between matches become pieces of their own.
   */
  readonly stages: readonly Stage[];
  /** A word that is a token as it stands is taken whole, whatever the merges would make of it. */
  readonly ignoresMerges: boolean;
  /** Prompts begin with BOS unless the file says otherwise. */
  readonly addsBos: boolean;
  /** The same of a separator between two texts. */
  readonly addsSeparator: boolean;
}

/** White space, and what is none. */
const S = String.raw`\p{White_Space}`;
const NOT_S = String.raw`\P{White_Space}`;

/** "it's" ends in a word of its own, in any case. */
const CONTRACTION = String.raw`'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])`;
/** All of a run of spaces but the last, which goes to the word behind it; else all of the run. */
const SPACES = `${S}+(?!${NOT_S})|${S}+`;
/** White space that ends in line breaks. */
const BREAKS = String.raw`${S}*[\r\n]+`;
/** A word of letters with whatever one character stands before it. */
const WORD = String.raw`[^\r\n\p{L}\p{N}]?\p{L}+`;
const SYMBOLS = String.raw` ?[^${S}\p{L}\p{N}]+`;

/** The words of GPT-2. */
const GPT2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+|${SYMBOLS}|${SPACES}`;

/** The words of GPT-4 without its contractions. */
function uncontracted(digits: string): string {
  return String.raw`${WORD}|${digits}|${SYMBOLS}[\r\n]*|${BREAKS}|${SPACES}`;
}

/** The words of GPT-4 and its many followers, who differ in how long a piece of a number may be. */
function gpt4(digits: string): string {
  return `${CONTRACTION}|${uncontracted(digits)}`;
}

const UPPER = String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
const LOWER = String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;

/** The words of GPT-4o: a capital within a word begins another. */
function gpt4o(digits: string, ending: string): string {
  return `${words4o(UPPER, LOWER, ending)}|${digits}|` +
    String.raw`${SYMBOLS}[\r\n/]*|${BREAKS}|${SPACES}`;
}

function words4o(upper: string, lower: string, ending: string): string {
  const before = String.raw`[^\r\n\p{L}\p{N}]?`;
  return `${before}${upper}*${lower}+${ending}|${before}${upper}+${lower}*${ending}`;
}

/** ASCII punctuation, as a character class. */
const ASCII_MARK = String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_\x60{|}~]`;
/** The words of DeepSeek V3, numbers and Chinese being cut off before. */
const DEEPSEEK3 = String.raw`${ASCII_MARK}[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|` +
  String.raw` ?[\p{P}\p{S}]+[\r\n]*|${BREAKS}|${SPACES}`;

/** The same of Spark X2.5: line breaks one by one. */
const SPARK = String.raw`${ASCII_MARK}[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|` +
  String.raw` ?[\p{P}\p{S}]+|[\r\n]|${SPACES}`;

/** Letters with case as Unicode 10 or so knew them: DeepSeek's first models list them. */
const CASED = String.raw`A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf` +
  String.raw`\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386` +
  String.raw`\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f` +
  String.raw`\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba` +
  String.raw`\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15` +
  String.raw`\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d` +
  String.raw`\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc` +
  String.raw`\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102` +
  String.raw`\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d` +
  String.raw`\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b` +
  String.raw`\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b` +
  String.raw`\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06` +
  String.raw`\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\u{10400}-\u{1044f}` +
  String.raw`\u{104b0}-\u{104d3}\u{104d8}-\u{104fb}\u{10c80}-\u{10cb2}\u{10cc0}-\u{10cf2}` +
  String.raw`\u{118a0}-\u{118df}\u{1e900}-\u{1e943}`;
/** DeepSeek's punctuation: "!-/" and ":-~", plain and full-width, quotes, and U+3000 to U+3002. */
const DEEPSEEK_MARKS = String.raw`[!-\/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]`;
/** Chinese, Japanese, Korean and, as the ranges fall, all else from U+0800 to U+9FA5. */
const DEEPSEEK_CJK = String.raw`[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+`;
/** White space at the end. It can only begin where a run does: saves trying the run's inside. */
const LAST_SPACES = `(?<!${S})${S}+$`;

/** Sentence marks of several scripts, which BLOOM's words leave out. */
const BLOOM = String.raw` ?[^(${S}|.,!?…。，、।۔،)]+`;

const DIGIT = String.raw`\p{N}`;
const UP_TO_3_DIGITS = String.raw`\p{N}{1,3}`;
/** Punctuation, and those ASCII marks that Unicode calls symbols. */
const FALCON_MARKS = String.raw`[\p{P}$+<=>^~|\x60]+`;
const DEFAULT_MARKS = String.raw`[\p{P}$+<=>^~|]+`;
const THREE_DIGITS = "[0-9][0-9][0-9]";
const CHINESE_OR_KANA = String.raw`[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+`;

/** The same three, for Chinese alone, and capitals and small letters of all other scripts. */
const HAN = String.raw`\p{Script=Han}`;
const UPPER_NOT_HAN = `(?:(?!${HAN})${UPPER})`;
const LOWER_NOT_HAN = `(?:(?!${HAN})${LOWER})`;

/** Numbers between which and what follows a word ends, as `\b` says it. */
const BOUND_DIGITS = String.raw`(?<!\p{Nd})\p{Nd}+(?![\p{L}\p{M}\p{N}\p{Pc}])`;
/** Letters, with single spaces between them. */
const PHRASE = String.raw`[^\r\n\p{L}\p{N}]?\p{L}\p{M}*(?: ?\p{L}\p{M}*)*`;
/** White space in pieces of powers of two. */
const HALVED_SPACES = [512, 256, 128, 64, 32, 16, 8, 4, "1,2"]
  .map((count) => `${S}{${count}}(?!${NOT_S})|`).join("") + S;
/** Scripts of East and South East Asia. */
const ASIAN = String.raw`[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3040-\u309f\u30a0-\u30ff` +
  String.raw`\uff65-\uff9f\u2f00-\u2fdf\u0e40-\u0e7f\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f` +
  String.raw`\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af\u1100-\u11ff]+`;
/** Korean, Chinese marks, Bopomofo, Chinese and Japanese, each by itself. */
const EAST_ASIAN = String.raw`[\uac00-\ud7a3\u3131-\u318e]+|` +
  String.raw`[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f` +
  String.raw`\ufe30-\ufe4f]+|[\u3105-\u312f]+|${CHINESE_OR_KANA}`;

/** Chameleon's texts of images, white space of code, and marks, each by itself. */
const CHAMELEON = [
  "IMGIMG[A-I]{1,4}Z",
  String.raw`[\t\n]| {4}| {2}`,
  DIGIT,
  String.raw`[\p{P}!-\/:-@\[-\x60{-~]`,
  GPT2,
];

interface Family {
  readonly names: readonly string[];
  /** The first of them cuts what it matches into threes, counted from the end. */
  readonly groupsDigits?: boolean;
  readonly stages: readonly string[];
  readonly ignoresMerges?: boolean;
  readonly addsBos?: boolean;
  readonly addsSeparator?: boolean;
}

const FAMILIES: readonly Family[] = [
  { names: ["default"], stages: [DEFAULT_MARKS, GPT2, `${DIGIT}+`, THREE_DIGITS] },
  {
    names: "gpt-2 phi-2 mpt olmo jais jina-es jina-de jina-v2-es jina-v2-de gigachat a.x-4.0 mellum"
      .split(" ").concat("modern-bert exaone4 trillion granite-docling".split(" ")),
    stages: [GPT2],
  },
  { names: ["jina-v1-en", "jina-v2-code", "roberta-bpe"], stages: [GPT2], addsSeparator: true },
  {
    names: "starcoder refact command-r smollm codeshell exaone minerva-7b mellum2".split(" "),
    stages: [DIGIT, GPT2],
  },
  { names: ["falcon"], stages: [FALCON_MARKS, GPT2, THREE_DIGITS] },
  {
    names: "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano".split(
      " ",
    ),
    stages: [gpt4(UP_TO_3_DIGITS)],
    ignoresMerges: true,
    addsBos: true,
  },
  { names: "dbrx smaug-bpe glm4 chatglm-bpe".split(" "), stages: [gpt4(UP_TO_3_DIGITS)] },
  {
    names: "qwen2 deepseek-r1-qwen stablelm2 hunyuan solar-open megrez grok-2 kormo f2llmv2"
      .split(" "),
    stages: [gpt4(DIGIT)],
  },
  {
    names: ["qwen35"],
    stages: [
      String.raw`${CONTRACTION}|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|` +
      String.raw` ?[^${S}\p{L}\p{M}\p{N}]+[\r\n]*|${BREAKS}|${SPACES}`,
    ],
  },
  {
    names: ["seed-coder"],
    stages: [
      String.raw`${CONTRACTION}|${WORD}|\p{N}| ?[^${S}\p{L}\p{N}\r\n]+|${BREAKS}|${SPACES}`,
    ],
  },
  {
    names: "bailingmoe bailingmoe2 llada-moe".split(" "),
    stages: [
      String.raw`${CONTRACTION}|${WORD}|\p{N}|${SYMBOLS}[\r\n]*|${S}*[\r\n]|${SPACES}`,
    ],
  },
  {
    names: "gpt-4o llama4 kanana2 minimax-m2 talkie".split(" "),
    stages: [gpt4o(UP_TO_3_DIGITS, `(?:${CONTRACTION})?`)],
  },
  {
    names: ["granite-embed-multi-97m"],
    stages: [gpt4o(UP_TO_3_DIGITS, `(?:${CONTRACTION})?`)],
    ignoresMerges: true,
  },
  { names: ["chameleon"], stages: CHAMELEON, addsBos: true },
  { names: ["tekken"], stages: [gpt4o(DIGIT, "")], ignoresMerges: true, addsBos: true },
  {
    names: ["deepseek-llm"],
    stages: [
      String.raw`[\r\n]`,
      `${S}?[${CASED}]+`,
      `${S}?${DEEPSEEK_MARKS}+`,
      LAST_SPACES,
      DEEPSEEK_CJK,
      `${DIGIT}+`,
    ],
  },
  {
    names: ["deepseek-coder"],
    stages: [
      String.raw`[\r\n]`,
      String.raw`${S}?\p{L}+`,
      String.raw`${S}?\p{P}+`,
      DEEPSEEK_CJK,
      DIGIT,
    ],
  },
  {
    names: "deepseek-v3 hunyuan-dense joyai-llm hy_v4".split(" "),
    stages: [UP_TO_3_DIGITS, CHINESE_OR_KANA, DEEPSEEK3],
  },
  { names: "bloom poro-chat gpt3-finnish".split(" "), stages: [BLOOM] },
  { names: ["viking"], stages: [BLOOM, DIGIT] },
  {
    names: ["minicpm5"],
    stages: [UP_TO_3_DIGITS, gpt4(`${DIGIT}+`)],
    ignoresMerges: true,
  },
  { names: ["ufakzeka"], stages: [uncontracted(DIGIT)] },
  { names: ["spark2_5"], stages: [DIGIT, CHINESE_OR_KANA, SPARK] },
  { names: ["laguna"], stages: [String.raw`[^\n]+|\n+`, gpt4(DIGIT)] },
  {
    names: ["jais-2"],
    stages: [
      String.raw`${CONTRACTION}|${WORD}|${UP_TO_3_DIGITS}|${SYMBOLS}[\r\n]*|${BREAKS}|` +
      HALVED_SPACES,
    ],
  },
  {
    names: ["exaone-moe"],
    stages: [
      String.raw`${CONTRACTION}|${PHRASE}|${DIGIT}|${SYMBOLS}[\r\n/]?|${S}*[\r\n]|${SPACES}`,
    ],
  },
  {
    names: ["kimi-k2"],
    stages: [
      `${HAN}+|` + words4o(UPPER_NOT_HAN, LOWER_NOT_HAN, `(?:${CONTRACTION})?`) + "|" +
      String.raw`${UP_TO_3_DIGITS}|${SYMBOLS}[\r\n]*|${BREAKS}|${SPACES}`,
    ],
  },
  {
    names: ["youtu"],
    stages: [EAST_ASIAN, gpt4o(DIGIT, `(?:${CONTRACTION})?`)],
    ignoresMerges: true,
  },
  {
    names: ["tiny_aya", "cohere2moe"],
    groupsDigits: true,
    stages: [BOUND_DIGITS, gpt4o(UP_TO_3_DIGITS, `(?:${CONTRACTION})?`)],
  },
  { names: ["superbpe"], groupsDigits: true, stages: [`${DIGIT}+`] },
  { names: ["afmoe"], groupsDigits: true, stages: [`${DIGIT}+`, ASIAN, DEEPSEEK3] },
];

const BY_NAME = new Map<string, PreTokenizer>(
  FAMILIES.flatMap(({ names, stages, groupsDigits, ...rest }) => {
    const { ignoresMerges = false, addsBos = false, addsSeparator = false } = rest;
    const compiled = stages.map((stage, index): Stage => ({
      expression: new RegExp(stage, "gu"),
      charactersFromEnd: groupsDigits && index === 0 ? 3 : 0,
    }));
    return names.map((name): [string, PreTokenizer] => [
      name,
      { stages: compiled, ignoresMerges, addsBos, addsSeparator },
    ]);
  }),
);

/** The names that `preTokenizer` knows. */
export const PRE_TOKENIZER_NAMES: readonly string[] = [...BY_NAME.keys()].sort();

/** The pre-tokenizer that `tokenizer.ggml.pre` names, or undefined. */
export function preTokenizer(name: string): PreTokenizer | undefined {
  return BY_NAME.get(name);
}
