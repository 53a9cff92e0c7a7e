/** What people and clients ask about a model, from its file's header. Loads nothing. */
import { basename } from "node:path";
import { getNumber, getString } from "../gguf/mod.ts";
import type { GgufFile } from "../gguf/types.ts";
import { elementCount } from "../model/dtypes.ts";
import type { ModelConfig, TextHeadTensors } from "../model/types.ts";
import type { Tokenizer } from "../tokenizer/types.ts";
import type { LoadOptions } from "./load_options.ts";
import { ranksPairs } from "./read_pooling.ts";
import { readSampling } from "./sampling_defaults.ts";
import type { GapMarks, ModelDetails } from "./types.ts";

/** Texts of a header that are longer are documents: templates, licences. */
const TEXT_CHARS_MAX = 200;

/** What a model was loaded with, of which its own file says nothing. */
export interface LoadedWith
  extends Pick<LoadOptions, "adapters" | "namedAdapters" | "controlVectors"> {
  /** How much of each named adapter counts where a request does not say; left out: nothing. */
  readonly shares?: readonly number[];
  /** What it sees or hears with; null or left out: it does neither. */
  readonly towers?: readonly { readonly kind: "images" | "sounds" }[];
  /** What is behind texts' vectors; left out: nothing. */
  readonly textHead?: TextHeadTensors;
}

/** Sums up a header; costs a walk over it, so whoever asks often keeps the answer. */
export function describeModel(
  file: GgufFile,
  config: Pick<
    ModelConfig,
    "architecture" | "embeddingLength" | "vocabSize" | "isEncoder" | "fill"
  >,
  tokenizer: Tokenizer,
  { adapters = [], namedAdapters = [], shares = [], towers = [], textHead, ...more }: LoadedWith =
    {},
): ModelDetails {
  const tensors = [...file.tensors.values()].filter(({ summed }) => summed === undefined);
  const { controlVectors = [] } = more;
  return {
    architecture: getString(file.metadata, "general.architecture", "unknown"),
    parameterCount: tensors.reduce((sum, { dims }) => sum + elementCount(dims), 0),
    quantization: mainType(tensors),
    fileBytes: file.parts.reduce((sum, part) => part.isBeside ? sum : sum + part.sizeBytes, 0),
    embeddingLength: config.embeddingLength,
    vocabSize: config.vocabSize,
    uses: [
      ...config.isEncoder ? [] : ["writing" as const],
      ...config.fill ? [] : [ranksPairs(file.metadata, config) ? "ranking" : "vectors"] as const,
      ...towers.map(({ kind }) => kind),
    ],
    chatTemplate: getString(file.metadata, "tokenizer.chat_template", "") || null,
    scoresAreShares: textHead?.ranker?.isSoftmax ?? false,
    adapters: adapters.map(({ path, scale = 1 }) => ({ name: basename(path), scale })),
    ...namedAdapters.length > 0 && {
      choosableAdapters: namedAdapters.map(({ adapter: { path } }, index) => ({
        ...{ name: basename(path), scale: shares[index] ?? 0 },
      })),
    },
    ...controlVectors.length > 0 && {
      controlVectors: controlVectors.map(({ path, scale = 1 }) => ({
        ...{ name: basename(path), scale },
      })),
    },
    sampling: readSampling(file.metadata),
    gapMarks: gapMarks(file, tokenizer),
    metadata: Object.fromEntries([...file.metadata].flatMap(([key, value]) => {
      const isShown = typeof value === "number" || typeof value === "boolean" ||
        typeof value === "string" && value.length <= TEXT_CHARS_MAX;
      return isShown ? [[key, value]] : [];
    })),
  };
}

/** The type that most bytes are in. */
function mainType(tensors: readonly { type: string; sizeBytes: number }[]): string {
  const bytes = new Map<string, number>();
  for (const { type, sizeBytes } of tensors) bytes.set(type, (bytes.get(type) ?? 0) + sizeBytes);
  return [...bytes].reduce((most, each) => each[1] > most[1] ? each : most, ["unknown", -1])[0];
}

/** Texts by which families spell the marks where the file does not name them. */
const MARK_TEXTS: readonly (readonly [prefix: string, suffix: string, middle: string])[] = [
  ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"],
  ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"],
  ["<fim-prefix>", "<fim-suffix>", "<fim-middle>"],
  ["▁<PRE>", "▁<SUF>", "▁<MID>"],
  ["<PRE>", "<SUF>", "<MID>"],
  ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"],
  ["<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"],
  ["<|prefix|>", "<|suffix|>", "<|middle|>"],
];

function gapMarks({ metadata }: GgufFile, tokenizer: Tokenizer): GapMarks | null {
  const named = ["pre", "suf", "mid"]
    .map((part) => getNumber(metadata, `tokenizer.ggml.fim_${part}_token_id`, -1));
  const spelled = MARK_TEXTS.map((texts) => texts.map((text) => idOf(tokenizer, text)));
  const found = [named, ...spelled].find((ids) =>
    ids.every((id) => Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize)
  );
  if (found === undefined) return null;
  const [prefix, suffix, middle] = found;
  const other = (part: string, texts: readonly string[]) => {
    const id = getNumber(metadata, `tokenizer.ggml.fim_${part}_token_id`, -1);
    const isThere = Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize;
    return [isThere ? id : -1, ...texts.map((text) => idOf(tokenizer, text))]
      .find((each) => each >= 0) ?? null;
  };
  const repository = other("rep", REPOSITORY_TEXTS);
  return { prefix, suffix, middle, repository, file: other("sep", FILE_TEXTS) };
}

/** The same of marks that few have. */
const REPOSITORY_TEXTS = ["<|repo_name|>", "<|fim_repo|>", "<repo_name>", "<reponame>", "<REPO>"];
const FILE_TEXTS = ["<|file_sep|>", "<file_sep>", "<filename>"];

/** The id of the token that is spelled so; -1: there is none. */
function idOf(tokenizer: Tokenizer, text: string): number {
  if (!tokenizer.specialTexts.includes(text)) return -1;
  const ids = tokenizer.encode(text, { special: true });
  return ids.length === 1 ? ids[0] : -1;
}
