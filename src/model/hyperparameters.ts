/**
 * Numbers and names out of a model's metadata, each checked for type and range on the way. Knows
 * which keys are asked for only through its callers.
 */
import { ModelFormatError } from "../base/errors.ts";
import type { GgufFile, GgufValue } from "../gguf/types.ts";

/** No count in a model may exceed this: it still fits a signed 32-bit integer. */
const COUNT_MAX = 2 ** 31 - 1;

/** What an integer or float may be, and what it is when the key is absent. */
export interface Bounds {
  readonly min: number;
  readonly max?: number;
  /** Without it an absent key is an error. */
  readonly absent?: number;
}

/** The metadata of one architecture: keys are given without the "<architecture>." prefix. */
export class Hyperparameters {
  readonly #file: GgufFile;
  readonly #prefix: string;

  constructor(file: GgufFile, architecture: string) {
    this.#file = file;
    this.#prefix = `${architecture}.`;
  }

  /**
   * An integer within bounds.
   * @throws {ModelFormatError} when it is absent without a default, no integer, or out of bounds.
   */
  integer(key: string, bounds: Bounds): number {
    const { min, max = COUNT_MAX } = bounds;
    const value = this.#get(key) ?? bounds.absent;
    if (value === undefined) throw this.#missing(key);
    const isInteger = typeof value === "bigint" || Number.isInteger(value);
    if (!isInteger || Number(value) < min || Number(value) > max) {
      throw this.wrong(key, `an integer from ${min} to ${max}`);
    }
    return Number(value);
  }

  /**
   * A finite number within bounds, the lower one excluded.
   * @throws {ModelFormatError} when it is absent without a default, no number, NaN, or out of bounds.
   */
  float(key: string, bounds: Bounds): number {
    const { min, max = Number.MAX_VALUE } = bounds;
    const value = this.#get(key) ?? bounds.absent;
    if (value === undefined) throw this.#missing(key);
    if (typeof value !== "number" || !(value > min && value <= max)) {
      const above = min === -Infinity ? "" : ` above ${min}`;
      throw this.wrong(key, `a finite number${above}`);
    }
    return value;
  }

  /**
   * A text; null when the key is absent.
   * @throws {ModelFormatError} when it is not a text.
   */
  text(key: string): string | null {
    const value = this.#get(key);
    if (value === undefined) return null;
    if (typeof value !== "string") throw this.wrong(key, "a text");
    return value;
  }

  /** True when the file has the key. */
  has(key: string): boolean {
    return this.#get(key) !== undefined;
  }

  /** The error for a key whose value is not what it should be. */
  wrong(key: string, expected: string): ModelFormatError {
    const found = showValue(this.#get(key));
    return formatError(
      this.#file,
      `Cannot use metadata "${this.#prefix}${key}": it must be ${expected}, the file says ` +
        `${found}: get the file again or convert the model again`,
    );
  }

  #missing(key: string): ModelFormatError {
    return formatError(
      this.#file,
      `Cannot find metadata "${this.#prefix}${key}": a model of this architecture needs it: ` +
        "convert the model again",
    );
  }

  #get(key: string): GgufValue | undefined {
    return this.#file.metadata.get(this.#prefix + key);
  }
}

/** A ModelFormatError about the header of `file`, which begins at byte 0 of its first part. */
export function formatError(file: GgufFile, message: string): ModelFormatError {
  return new ModelFormatError(message, { offsetBytes: 0, path: file.parts[0]?.path });
}

function showValue(value: GgufValue | undefined): string {
  if (value === undefined) return "nothing";
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  return typeof value === "object" ? `an array of ${value.length}` : String(value);
}
