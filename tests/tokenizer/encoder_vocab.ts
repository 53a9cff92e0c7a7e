/**
 * Vocabularies of encoders, and PLaMo's, made in the tests, as the metadata of a GGUF file, and
 * random texts to try them with: characters that all tables of Unicode from version 13 on have.
 */
import { type GgufValue, packStrings } from "../../src/gguf/mod.ts";
import { TokenType } from "../../src/tokenizer/token_types.ts";
import type { Rng } from "../support/rng.ts";
import type { Metadata } from "./tiny_vocab.ts";

/** A token as a file has it. */
export type Entry = readonly [text: string, type?: number, score?: number];

const { control, unknown } = TokenType;

/** WordPiece: [PAD], [UNK], [CLS], [SEP], [MASK] (ids 0 to 4), then `pieces`. */
export function bertMetadata(pieces: readonly Entry[]): Metadata {
  const specials: Entry[] = [
    ["[PAD]", control],
    ["[UNK]", unknown],
    ["[CLS]", control],
    ["[SEP]", control],
    ["[MASK]", control],
  ];
  return vocabulary("bert", [...specials, ...pieces], { bos: 2, unknown: 1, seperator: 3 });
}

/** Unigram: <s>, <pad>, </s>, <unk> (ids 0 to 3), then `pieces`. */
export function unigramMetadata(pieces: readonly Entry[]): Metadata {
  const specials: Entry[] = [["<s>", control], ["<pad>", control], ["</s>", control]];
  return vocabulary("t5", [...specials, ["<unk>", unknown], ...pieces], {
    bos: 0,
    eos: 2,
    unknown: 3,
    seperator: 2,
  });
}

/** PLaMo: unknown, BOS, EOS, padding, "op" (ids 0 to 4), bytes from 5 on, then `pieces`. */
export function plamoMetadata(pieces: readonly Entry[]): Metadata {
  const specials = ["bos", "eos", "pad", "op"].map((name): Entry => [`<|plamo:${name}|>`, control]);
  const bytes = Array.from({ length: 256 }, (_, value): Entry => {
    return [`<0x${value.toString(16).toUpperCase().padStart(2, "0")}>`, TokenType.byte];
  });
  const all: Entry[] = [["<|plamo:unk|>", unknown], ...specials, ...bytes, ...pieces];
  return vocabulary("plamo2", all, { bos: 1, eos: 2, unknown: 0, eot: 4 });
}

function vocabulary(model: string, entries: Entry[], ids: Record<string, number>): Metadata {
  return new Map<string, GgufValue>([
    ["general.architecture", "bert"],
    ["tokenizer.ggml.model", model],
    ["tokenizer.ggml.tokens", packStrings(entries.map(([text]) => text))],
    [
      "tokenizer.ggml.token_type",
      Int32Array.from(entries, ([, type = TokenType.normal]) => type),
    ],
    ["tokenizer.ggml.scores", Float32Array.from(entries, ([, , score = 0]) => score)],
    ...Object.entries(ids).map(([name, id]): [string, GgufValue] => [
      `tokenizer.ggml.${name}_token_id`,
      id,
    ]),
  ]);
}

/** Pieces of every length over `LETTERS`, each spelt once, some of them beginning a word. */
export function randomPieces(rng: Rng, count: number): Entry[] {
  const pieces = new Map<string, Entry>();
  for (const letter of LETTERS) {
    for (const text of [letter, "▁" + letter]) {
      if (rng.int(8) > 0) pieces.set(text, [text, undefined, score(rng, 9)]);
    }
  }
  for (let i = 0; i < count; i++) {
    const text = (rng.int(2) === 0 ? "▁" : "") + randomWord(rng);
    pieces.set(text, [text, undefined, score(rng, 6 + text.length)]);
  }
  return [...pieces.values()];
}

/** Text of words, marks, white space and whatever else there is. */
export function randomText(rng: Rng, marks: readonly string[]): string {
  let text = "";
  for (let count = 1 + rng.int(20); count > 0; count--) {
    const kind = rng.int(10);
    if (kind < 5) text += randomWord(rng) + (rng.int(3) > 0 ? " " : "");
    else if (kind < 6) text += SPACES[rng.int(SPACES.length)];
    else if (kind < 7) text += SPACES[rng.int(SPACES.length)] + marks[rng.int(marks.length)];
    else text += randomCharacters(rng);
  }
  return text;
}

/**
 * SentencePiece's table of characters as `entries` have it: a double array made by the first
 * base that fits.
 */
export function charsMap(entries: readonly (readonly [string, string])[]): Uint8Array {
  const utf8 = new TextEncoder();
  const root: Node = { children: new Map(), replacement: null };
  const texts: number[] = [];
  for (const [from, to] of entries) {
    let node = root;
    for (const byte of utf8.encode(from)) {
      if (!node.children.has(byte)) {
        node.children.set(byte, { children: new Map(), replacement: null });
      }
      node = node.children.get(byte)!;
    }
    node.replacement = texts.length;
    texts.push(...utf8.encode(to), 0);
  }
  const units = layOut(root);
  // Whoever reads it goes one byte beyond any unit at most.
  const size = (units.length | 255) + 257;
  const table = new Uint8Array(4 + 4 * size + texts.length);
  const view = new DataView(table.buffer);
  view.setUint32(0, 4 * size, true);
  units.forEach((unit, i) => view.setUint32(4 + 4 * i, unit, true));
  table.set(texts, 4 + 4 * size);
  return table;
}

const LETTERS = [..."abcdefghijklmnopqrstuvwxyzäöüßéçσςаб한글ᄒगनเด日本語中文ーカ😀½²."];
const SPACES = [" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\u0085", "\u200b"];
/** First and last of blocks: Latin, marks, Greek to Devanagari, CJK, symbols, private, controls. */
const BLOCKS = [
  [0x20, 0x7e],
  [0x41, 0x5a],
  [0xa0, 0x17f],
  [0x300, 0x36f],
  [0x391, 0x3a1],
  [0x400, 0x45f],
  [0x905, 0x93f],
  [0x2010, 0x205e],
  [0x3041, 0x3096],
  [0x4e00, 0x4e40],
  [0xac00, 0xac40],
  [0xf900, 0xf920],
  [0xff01, 0xff5e],
  [0x1f600, 0x1f640],
  [0x2b820, 0x2b930],
  [0xe000, 0xe00f],
  [0x00, 0x1f],
  [0x7f, 0x9f],
] as const;

function randomWord(rng: Rng): string {
  let word = "";
  for (let count = 1 + rng.int(5); count > 0; count--) word += LETTERS[rng.int(LETTERS.length)];
  return word;
}

function randomCharacters(rng: Rng): string {
  const [first, last] = BLOCKS[rng.int(BLOCKS.length)];
  let text = "";
  for (let count = 1 + rng.int(4); count > 0; count--) {
    text += String.fromCodePoint(first + rng.int(last - first + 1));
  }
  return text;
}

/** A float that every reader of the file has alike. */
function score(rng: Rng, atLeast: number): number {
  return -atLeast - rng.int(4096) / 512;
}

interface Node {
  readonly children: Map<number, Node>;
  replacement: number | null;
}

function layOut(root: Node): number[] {
  const units = [0];
  const taken = new Set([0]);
  // Nodes whose children were counted from one place would share them.
  const origins = new Set<number>();
  const queue: [Node, number][] = [[root, 0]];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [node, at] = next;
    const labels = [...node.children.keys()];
    if (node.replacement !== null) labels.push(0);
    if (labels.length === 0) continue;
    let base = 1;
    const isFree = () => {
      return !origins.has(at ^ base) && !labels.some((label) => taken.has(at ^ base ^ label));
    };
    while (!isFree()) base++;
    origins.add(at ^ base);
    units[at] = (units[at] & 0xff) | base << 10 | (node.replacement !== null ? 0x100 : 0);
    for (const label of labels) {
      const child = at ^ base ^ label;
      taken.add(child);
      units[child] = label === 0 ? (0x80000000 | node.replacement!) >>> 0 : label;
      if (label !== 0) queue.push([node.children.get(label)!, child]);
    }
  }
  return Array.from(units, (unit) => unit ?? 0);
}
