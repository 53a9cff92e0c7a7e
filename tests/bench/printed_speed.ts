/** Speeds in what a program printed: our `bench --json`, `llama-bench -o json`, or plain text. */
import type { Spread } from "../../src/cli/spread.ts";

/** Tokens per second; null where nothing says it. */
export interface PrintedSpeed {
  readonly prefillTps: number | null;
  readonly decodeTps: number | null;
  /** Fingerprint of our greedy ids. */
  readonly idsHash: string | null;
}

/** Ours; of llama-bench a list of the others. */
interface Printed {
  readonly prefill_tps?: Partial<Spread>;
  readonly decode_tps?: Partial<Spread>;
  readonly ids_hash?: string;
  readonly n_prompt?: number;
  readonly n_gen?: number;
  readonly avg_ts?: number;
}

/** Looks for speeds; lines around a JSON document do not matter. */
export function parsePrintedSpeed(text: string): PrintedSpeed {
  const document = findJson(text);
  if (document === null) return parseText(text);
  if (Array.isArray(document)) {
    const runs: readonly Printed[] = document;
    const prompt = runs.find(({ n_prompt, n_gen }) => n_prompt && !n_gen);
    const answer = runs.find(({ n_prompt, n_gen }) => n_gen && !n_prompt);
    return {
      prefillTps: prompt?.avg_ts ?? null,
      decodeTps: answer?.avg_ts ?? null,
      idsHash: null,
    };
  }
  const { prefill_tps, decode_tps, ids_hash } = document as Printed;
  return {
    prefillTps: prefill_tps?.median ?? null,
    decodeTps: decode_tps?.median ?? null,
    idsHash: ids_hash ?? null,
  };
}

/** The first object or list that a line begins, up to the last line that ends one. */
function findJson(text: string): object | null {
  const match = /^[[{][^]*[\]}]$/m.exec(text.trim());
  if (match === null) return null;
  try {
    const document: unknown = JSON.parse(match[0]);
    return typeof document === "object" ? document : null;
  } catch {
    return null;
  }
}

/** The last "decode 9.1 tok/s"; without the word, the last "9.1 tok/s". */
function parseText(text: string): PrintedSpeed {
  const last = (pattern: RegExp) => {
    const found = [...text.matchAll(pattern)].at(-1);
    return found ? Number(found[1]) : null;
  };
  return {
    prefillTps: last(/prefill\D{0,3}([\d.]+)/gi),
    decodeTps: last(/decode\D{0,3}([\d.]+)/gi) ?? last(/([\d.]+) (?:tok|t|tokens)\/s/gi),
    idsHash: null,
  };
}
