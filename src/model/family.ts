/**
 * What sets one family of dense transformers apart from the next, as data. All of them share the
 * key and tensor names of GGUF, so a family is a handful of choices; reading and checking are done
 * once, in read_config.ts and read_tensors.ts.
 */
import type { RopeConfig } from "./types.ts";

/** A family: RMS norms, rotary attention with grouped heads, a gated SiLU feed-forward block. */
export interface Family {
  /** `general.architecture`, which is also the prefix of its metadata keys. */
  readonly architecture: string;
  /** Which dimensions of a head its converted weights pair up. */
  readonly ropeKind: RopeConfig["kind"];
  /** Biases of query, key and value: in every model, or in those whose file has them. */
  readonly qkvBias: "required" | "optional";
  /** Whether `attention.sliding_window` is obeyed; some families store it without using it. */
  readonly slidingWindow: boolean;
}
