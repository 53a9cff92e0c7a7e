/** Parsers of option values: text in, value out, or commander's error for what is not one. */
import { InvalidArgumentError } from "commander";
import { formatBytes, parseBytes } from "../base/units.ts";

/** A parser of whole numbers of at least `min`, at most `max`. */
export function wholeNumber(
  { min = 0, max = Number.MAX_SAFE_INTEGER }: { min?: number; max?: number } = {},
): (text: string) => number {
  return (text) => {
    const value = /^-?\d+$/.test(text.trim()) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new InvalidArgumentError(`A whole number ${range} is needed.`);
  };
}

/** A parser of finite numbers of at least `min`, at most `max`. */
export function decimal(
  { min = -Infinity, max = Infinity }: { min?: number; max?: number } = {},
): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? NaN : Number(text);
    if (Number.isFinite(value) && value >= min && value <= max) return value;
    if (min === -Infinity && max === Infinity) {
      throw new InvalidArgumentError("A number is needed.");
    }
    const range = max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new InvalidArgumentError(`A number ${range} is needed.`);
  };
}

/** "2GiB", "512MiB" or bytes → bytes. */
export function byteSize(text: string): number {
  const bytes = parseBytes(text);
  if (bytes !== null) return bytes;
  throw new InvalidArgumentError("A size is needed, such as 2GiB, 512MiB or a number of bytes.");
}

/** A parser of sizes of at least `min` bytes. */
export function byteSizeFrom(min: number): (text: string) => number {
  return (text) => {
    const bytes = byteSize(text);
    if (bytes >= min) return bytes;
    throw new InvalidArgumentError(`A size of at least ${formatBytes(min)} is needed.`);
  };
}

/** "1,2,3" → ids; spaces are allowed. */
export function tokenIds(text: string): number[] {
  if (text.trim() === "") return [];
  return text.split(",").map((part) => {
    const id = /^\s*\d+\s*$/.test(part) ? Number(part) : NaN;
    if (id < 2 ** 32) return id;
    throw new InvalidArgumentError("Token ids are needed, such as 1,15043,29871.");
  });
}

/** "0.3,0.5" → 1 to `most` numbers from 0 to 1, none smaller than the one before. */
export function ascendingShares(most: number): (text: string) => number[] {
  const share = decimal({ min: 0, max: 1 });
  return (text) => {
    const shares = text.split(",").map(share);
    const ascends = shares.every((each, i) => each >= (shares[i - 1] ?? 0));
    if (ascends && shares.length <= most) return shares;
    throw new InvalidArgumentError(
      `1 to ${most} numbers are needed, none smaller than the one before.`,
    );
  };
}

/** "a,b" → ["a", "b"]. */
export function list(text: string): string[] {
  return text.split(",").map((part) => part.trim()).filter((part) => part !== "");
}

/** A parser of one of some words, upper or lower case. */
export function oneOf<T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const word = words.find((each) => each.toLowerCase() === text.toLowerCase());
    if (word !== undefined) return word;
    throw new InvalidArgumentError(`Allowed choices are ${words.join(", ")}.`);
  };
}
