/**
 * What fuzzers share: how often they run, how bytes are damaged, the inputs that are kept, and what
 * a refusal must be like. Knows no format.
 *
 * `FUZZ_RUNS=20000 deno task test …` runs each property so often, from another seed each time;
 * fast-check prints the seed of a failure, and `FUZZ_SEED=that` runs it again. What is found goes
 * to tests/corpus, which is replayed before anything random.
 */
import { assert, assertLess } from "@std/assert";
import fc from "fast-check";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { concatBytes } from "../../src/base/bytes.ts";
import { IS_DEEP } from "./deep.ts";

const SEED = 7;
const CORPUS = new URL("../corpus/", import.meta.url);
/** What a user may be given to read: a message is no dump of the file. */
const MESSAGE_CHARS_MAX = 2000;
/** A machine that does other things, too, is given time; a hang takes longer. */
const MS_MAX = 2500;

/** Of the runs that a property has by `deno task test:deep` the gate has a quarter, or so many. */
const GATE_RUNS_MIN = 100;

/**
 * How a property runs: many times, in the gate a quarter as often as by `deno task
 * test:deep`, from a fixed seed; or as FUZZ_RUNS says.
 */
export function fuzzRuns(runs: number): { numRuns: number; seed?: number } {
  const wanted = Number(Deno.env.get("FUZZ_RUNS") ?? 0);
  const seed = Deno.env.get("FUZZ_SEED");
  if (seed !== undefined) return { numRuns: wanted || runs, seed: Number(seed) };
  if (wanted > 0) return { numRuns: wanted };
  const inGate = Math.min(runs, Math.max(GATE_RUNS_MIN, Math.ceil(runs / 4)));
  return { numRuns: IS_DEEP ? runs : inGate, seed: SEED };
}

/** Code points that stand for nothing alone. */
const SURROGATES = 0xd800, BEHIND_SURROGATES = 0xe000;

/**
 * Well-formed texts of any code points, as `fc.string({ unit: "binary" })`, which makes a map of
 * all 1.1 million of them first: a second of a core.
 */
export function anyText(): fc.Arbitrary<string> {
  const point = fc.integer({ min: 0, max: 0x10ffff - (BEHIND_SURROGATES - SURROGATES) })
    .map((at) => at < SURROGATES ? at : at + BEHIND_SURROGATES - SURROGATES);
  return fc.array(point).map((points) => String.fromCodePoint(...points));
}

/** An input that is kept. */
export interface CorpusFile {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly text: string;
}

/** The inputs of a folder of tests/corpus, by name. */
export function corpus(folder: string): CorpusFile[] {
  const directory = fileURLToPath(new URL(`${folder}/`, CORPUS));
  const files = readdirSync(directory).sort().map((name) => {
    const bytes = new Uint8Array(readFileSync(directory + name));
    return { name, bytes, text: new TextDecoder().decode(bytes) };
  });
  assert(files.length > 0, `tests/corpus/${folder} is not empty`);
  return files;
}

/** Runs `read`, which must end soon. */
export function timed<T>(read: () => T, hint: string): T {
  const begin = performance.now();
  try {
    return read();
  } finally {
    assertLess(performance.now() - begin, MS_MAX, `milliseconds for ${hint}`);
  }
}

/** A refusal says in few words what is wrong; anything else is thrown on. */
export function assertRefusal(error: unknown, kinds: readonly ErrorClass[], hint = ""): void {
  if (!kinds.some((kind) => error instanceof kind)) {
    throw new Error(`an error of another kind ${hint}`, { cause: error });
  }
  const { message } = error as Error;
  assert(message.length > 10, `${message} ${hint}`);
  assertLess(message.length, MESSAGE_CHARS_MAX, `${message.slice(0, 300)} … ${hint}`);
}

// deno-lint-ignore no-explicit-any
type ErrorClass = abstract new (...args: any[]) => Error;

/** One piece of damage; places are taken modulo the length of what is damaged. */
export type Damage =
  | { readonly kind: "flip"; readonly at: number; readonly bit: number }
  | { readonly kind: "byte"; readonly at: number; readonly value: number }
  | { readonly kind: "number"; readonly at: number; readonly wide: boolean; readonly value: bigint }
  | { readonly kind: "count"; readonly index: number; readonly value: bigint }
  | { readonly kind: "cut"; readonly at: number }
  | { readonly kind: "copy"; readonly from: number; readonly to: number; readonly length: number }
  | { readonly kind: "insert"; readonly from: number; readonly to: number; readonly length: number }
  | { readonly kind: "remove"; readonly at: number; readonly length: number };

/** Numbers at which arithmetic goes wrong. */
const EDGES: readonly bigint[] = [
  ...[0n, 1n, 2n, 7n, 0x7fn, 0xffn, 0xffffn, 2n ** 20n, 2n ** 27n],
  ...[31n, 32n, 53n, 62n, 63n, 64n].flatMap((bits) => [2n ** bits - 1n, 2n ** bits]),
  ...[2n ** 53n - 32n, 2n ** 64n - 32n, 2n ** 61n, 2n ** 58n],
];

/** Some pieces of damage, most of them within the first `focusBytes`. */
export function damages(focusBytes: number, maxLength = 4): fc.Arbitrary<Damage[]> {
  const at = fc.oneof({ weight: 4, arbitrary: fc.nat(focusBytes - 1) }, fc.nat(2 ** 24));
  const length = fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 5000 }));
  const value = fc.oneof(fc.constantFrom(...EDGES), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
  const piece: fc.Arbitrary<Damage> = fc.oneof(
    fc.record({ kind: fc.constant("flip" as const), at, bit: fc.nat(7) }),
    fc.record({ kind: fc.constant("byte" as const), at, value: fc.nat(255) }),
    fc.record({ kind: fc.constant("number" as const), at, wide: fc.boolean(), value }),
    // Counts are few among all bytes, and what most faults are about.
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("count" as const), index: fc.nat(10_000), value }),
    },
    fc.record({ kind: fc.constant("cut" as const), at }),
    fc.record({ kind: fc.constant("copy" as const), from: at, to: at, length }),
    fc.record({ kind: fc.constant("insert" as const), from: at, to: at, length }),
    fc.record({ kind: fc.constant("remove" as const), at, length }),
  );
  return fc.array(piece, { minLength: 1, maxLength });
}

/** A damaged copy of `bytes`, whose part up to `focusBytes` holds the counts. */
export function damage(
  bytes: Uint8Array,
  pieces: readonly Damage[],
  focusBytes: number,
): Uint8Array<ArrayBuffer> {
  let copy = new Uint8Array(bytes);
  for (const piece of pieces) copy = damageOnce(copy, piece, focusBytes);
  return copy;
}

function damageOnce(
  bytes: Uint8Array<ArrayBuffer>,
  piece: Damage,
  focusBytes: number,
): Uint8Array<ArrayBuffer> {
  if (bytes.length < 16) return bytes;
  const place = (at: number, room = 1) => at % (bytes.length - room + 1);
  switch (piece.kind) {
    case "flip":
      bytes[place(piece.at)] ^= 1 << piece.bit;
      return bytes;
    case "byte":
      bytes[place(piece.at)] = piece.value;
      return bytes;
    case "number":
      return put(bytes, place(piece.at, 8), piece.value, piece.wide);
    case "count": {
      const places = countPlaces(bytes.subarray(0, focusBytes));
      return put(bytes, places[piece.index % places.length], piece.value, true);
    }
    case "cut":
      return bytes.slice(0, place(piece.at));
    case "copy": {
      const { from, to } = { from: place(piece.from), to: place(piece.to) };
      bytes.copyWithin(to, from, from + piece.length);
      return bytes;
    }
    case "insert": {
      const part = bytes.slice(place(piece.from)).subarray(0, piece.length);
      const to = place(piece.to);
      return concatBytes([bytes.subarray(0, to), part, bytes.subarray(to)]);
    }
    case "remove": {
      const at = place(piece.at);
      return concatBytes([bytes.subarray(0, at), bytes.subarray(at + piece.length)]);
    }
  }
}

function put(bytes: Uint8Array<ArrayBuffer>, at: number, value: bigint, wide: boolean) {
  const view = new DataView(bytes.buffer);
  if (wide) view.setBigUint64(at, value, true);
  else view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
  return bytes;
}

/** Where a small u64 seems to stand; never empty. */
function countPlaces(bytes: Uint8Array): number[] {
  const places = [8];
  for (let at = 0; at + 8 <= bytes.length; at++) {
    if (bytes[at] !== 0 && bytes.subarray(at + 2, at + 8).every((byte) => byte === 0)) {
      places.push(at);
    }
  }
  return places;
}
