/**
 * How `profile` cuts a text, and what looking at a model takes in memory beside it. A packed model
 * that does not fit is read once for each window: its windows are as long as memory allows.
 */
import { UsageError } from "../../base/errors.ts";
import { formatBytes, MiB } from "../../base/units.ts";
import type { LoadedModel, LoadOptions } from "../../llm/mod.ts";
import { layerNeurons } from "../../model/mod.ts";
import type { ModelConfig } from "../../model/types.ts";
import { GROUP_WINDOWS, PREFILL_TOKENS } from "../../stats/mod.ts";

export interface WindowWishes {
  readonly config: ModelConfig;
  /** What is looked at. */
  readonly plane: "fired" | "gate";
  readonly isPacked: boolean;
  /** For everything; undefined: nobody said. */
  readonly memoryBytes: number | undefined;
  /** Tokens of a window; undefined: nobody said. */
  readonly windowTokens: number | undefined;
}

/** What a model is loaded with to be looked at. */
export type WindowPlan =
  & Pick<
    LoadOptions,
    "chunkTokens" | "observeBytesMax" | "memoryBytes" | "besideBytes"
  >
  & { readonly contextLength: number };

export const WINDOW_TOKENS_MIN = 4;
/** Multiples of a prompt's pieces. Longer ones of a packed model: fewer passes over its file. */
const WINDOW_TOKENS = 2 * PREFILL_TOKENS;
const WINDOW_TOKENS_PACKED = 8 * PREFILL_TOKENS;
/** Tokens of a step, at most. */
const CHUNK_TOKENS_MAX = 1024;
/** Marks of a group of windows: a byte for each layer, token and neuron. */
const MARKS_BYTES_MAX = 256 * MiB;
const ELEMENT_BYTES = { fired: 1, gate: 4 } as const;
/** Of every neuron: five counts of four bytes, and two copies while they are written down. */
const COUNT_BYTES = 60;
/** Of a packed model's memory: for marks, and what they are made from. */
const LOOKING_SHARE = 0.25;
/** Of what is free, for a packed model when nobody says. */
const MEMORY_SHARE = 0.8;

/**
 * Length of windows, and how the model is loaded for them.
 * @throws {UsageError} when windows of the length that was asked for are not possible.
 */
export function planWindows(wishes: WindowWishes): WindowPlan {
  const { config, plane, isPacked, windowTokens } = wishes;
  const perToken = config.blockCount * layerNeurons(config);
  const memoryBytes = wishes.memoryBytes ??
    (isPacked ? Math.floor(MEMORY_SHARE * Deno.systemMemoryInfo().available) : undefined);
  const shownBytes = perToken * ELEMENT_BYTES[plane];
  const fitting = Math.floor(
    isPacked ? LOOKING_SHARE * memoryBytes! / (perToken + shownBytes) : MARKS_BYTES_MAX / perToken,
  );
  const most = Math.min(config.contextLength, Math.max(WINDOW_TOKENS_MIN, fitting));
  if (windowTokens !== undefined && windowTokens > most) {
    const why = most === config.contextLength
      ? "the model was trained for no more"
      : `of ${formatBytes(perToken)} a token, more do not fit beside the model`;
    throw new UsageError(
      `Cannot profile with --window ${windowTokens}: ${most} is the most, ${why}`,
    );
  }
  const usual = isPacked ? WINDOW_TOKENS_PACKED : WINDOW_TOKENS;
  const length = windowTokens ?? Math.min(usual, most);
  const marksBytes = length * perToken + COUNT_BYTES * perToken;
  if (!isPacked) return { contextLength: length, memoryBytes, besideBytes: marksBytes };
  const chunkTokens = Math.min(length, CHUNK_TOKENS_MAX);
  const observeBytesMax = chunkTokens * shownBytes;
  const besideBytes = marksBytes + observeBytesMax;
  return { contextLength: length, chunkTokens, observeBytesMax, memoryBytes, besideBytes };
}

/**
 * The text's ids in windows, each a text of its own: BOS in front where the model wants it. Whole
 * groups of windows; what is left at the end is left out.
 * @throws {UsageError} when the text is too short for one group.
 */
export function cutWindows(model: LoadedModel, text: string, tokensMax = Infinity): number[][] {
  const { addBos, bosId } = model.tokenizer;
  const opening = addBos && bosId !== null ? [bosId] : [];
  const ids = model.tokenizer.encode(text).slice(0, tokensMax);
  const length = Math.min(model.contextLength, Math.floor(ids.length / GROUP_WINDOWS));
  if (length < WINDOW_TOKENS_MIN) {
    throw new UsageError(
      `Cannot profile with ${ids.length} tokens of text: at least ` +
        `${GROUP_WINDOWS * WINDOW_TOKENS_MIN} are needed, some thousands make good statistics`,
    );
  }
  const groups = Math.floor(ids.length / (GROUP_WINDOWS * length));
  return Array.from({ length: groups * GROUP_WINDOWS }, (_, index) => {
    const window = ids.slice(index * length, (index + 1) * length);
    return [...opening, ...window].slice(0, length);
  });
}
