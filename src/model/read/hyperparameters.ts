/**
 * Numbers and names out of a model's metadata, each checked for type and range on the way. Knows
 * which keys are asked for only through its callers.
 */
import { ModelFormatError } from "../../base/errors.ts";
import { getBoolean, getNumber, getString, type GgufFile, type GgufValue } from "../../gguf/mod.ts";

/** No count in a model may exceed this: it still fits a signed 32-bit integer. */
const COUNT_MAX = 2 ** 31 - 1;

/** What a number may be, and what it is when the key is absent. */
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
   * An integer from `min` to `max`.
   * @throws {ModelFormatError} when it is absent without a default, no integer, or out of bounds.
   */
  integer(key: string, bounds: Bounds): number {
    const { min, max = COUNT_MAX } = bounds;
    const value = getNumber(this.#file.metadata, this.#prefix + key, bounds.absent);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw this.wrong(key, `an integer from ${min} to ${max}`);
  }

  /**
   * A finite number above `min` and at most `max`.
   * @throws {ModelFormatError} when it is absent without a default, no number, or out of bounds.
   */
  float(key: string, bounds: Bounds): number {
    const { min, max = Number.MAX_VALUE } = bounds;
    const value = getNumber(this.#file.metadata, this.#prefix + key, bounds.absent);
    if (value > min && value <= max) return value;
    throw this.wrong(key, `a finite number above ${min}`);
  }

  /**
   * A text; null when the key is absent.
   * @throws {ModelFormatError} when it is not a text.
   */
  text(key: string): string | null {
    return this.has(key) ? getString(this.#file.metadata, this.#prefix + key) : null;
  }

  /**
   * Yes or no.
   * @throws {ModelFormatError} when it is neither.
   */
  flag(key: string, absent: boolean): boolean {
    return getBoolean(this.#file.metadata, this.#prefix + key, absent);
  }

  /** The value as it stands in the file; undefined when the key is absent. */
  value(key: string): GgufValue | undefined {
    return this.#file.metadata.get(this.#prefix + key);
  }

  /** True when the file has the key. */
  has(key: string): boolean {
    return this.#file.metadata.has(this.#prefix + key);
  }

  /** The error for a key whose number is not what it should be. */
  wrong(key: string, expected: string): ModelFormatError {
    const name = this.#prefix + key;
    return formatError(
      this.#file,
      `Cannot use metadata "${name}": it must be ${expected}, the file says ` +
        `${
          showValue(this.#file.metadata.get(name))
        }: get the file again or convert the model again`,
    );
  }
}

/** Lists may have millions of items: of them the length is said. */
function showValue(value: GgufValue | undefined): string {
  return typeof value === "object" ? `a list of ${value.length}` : `${value}`;
}

/** True where a list has an item for each block that is computed, or for those that guess, too. */
export function isListFor(keys: Hyperparameters, length: number, blockCount: number): boolean {
  return length === blockCount || length === Number(keys.value("block_count"));
}

/** A ModelFormatError about the header of `file`, which begins at byte 0 of its first part. */
export function formatError(file: GgufFile, message: string): ModelFormatError {
  return new ModelFormatError(message, { offsetBytes: 0, path: file.parts[0]?.path });
}
