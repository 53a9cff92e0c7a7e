/**
 * The seeded vocabularies and texts whose ids llama.cpp gave once (`encoder_peers.json`): run with
 * a folder as `deno run -A tests/tokenizer/encoder_peers.ts FOLDER` it writes each vocabulary as a
 * GGUF file and its texts as JSON, for llama.cpp's tokenizer to read anew (no BOS or EOS added).
 */
import {
  encodeGguf,
  getStrings,
  list,
  type MetadataEntry,
  text as string,
} from "../../src/gguf/mod.ts";
import { TokenType } from "../../src/tokenizer/token_types.ts";
import { Rng } from "../support/rng.ts";
import {
  bertMetadata,
  charsMap,
  type Entry,
  plamoMetadata,
  randomPieces,
  randomText,
  unigramMetadata,
} from "./encoder_vocab.ts";
import type { Metadata } from "./tiny_vocab.ts";

/** A vocabulary, texts, and whether marks are looked for in them. */
export interface Peer {
  readonly name: string;
  readonly metadata: Metadata;
  readonly texts: readonly string[];
  readonly special: boolean;
}

const TEXTS = 800;
const MARKS = ["[CLS]", "[MASK]", "[UNK]", "<s>", "</s>", "<unk>", "<user>"];
const PLAMO_MARKS = ["<|plamo:bos|>", "<|plamo:op|>", "<|plamo:unk|>", "<0x41>", "<user>"];

/** What characters become: one, several, none, a space, by pairs and by the longest. */
const REPLACED: (readonly [string, string])[] = [
  ..."\t\n\r\u00a0\u3000\u2028\u0085",
].map((space): [string, string] => [space, " "]).concat([
  ["\u200b", ""],
  ["½", "1\u20442"],
  ["²", "2"],
  ["e\u0301", "é"],
  ["\u0301", "'"],
  ["A", "a"],
  ["abc", "c b"],
  ["😀", " : "],
  ...Array.from({ length: 94 }, (_, i): [string, string] => [
    String.fromCharCode(0xff01 + i),
    String.fromCharCode(0x21 + i),
  ]),
]);

/** All of them, the same at every call. */
export function encoderPeers(): Peer[] {
  const bert = randomPieces(new Rng(1), 600);
  const unigram = randomPieces(new Rng(2), 600);
  const across: Entry[] = [["▁▁", , -4], ["a▁b", , -3], ["b▁", , -5]];
  const table = ["tokenizer.ggml.precompiled_charsmap", charsMap(REPLACED)] as const;
  const flag = (name: string, value: boolean) => [`tokenizer.ggml.${name}`, value] as const;
  const peer = (
    name: string,
    metadata: Metadata,
    changes: readonly (readonly [string, boolean | Uint8Array | string])[],
  ): Peer => {
    for (const [key, value] of changes) metadata.set(key, value);
    const rng = new Rng(name.length);
    const special = name.endsWith("special");
    const marks = name === "plamo2-special" ? PLAMO_MARKS : MARKS;
    const texts = Array.from({ length: TEXTS }, () => randomText(rng, marks));
    return { name, metadata, texts: ["", " ", "\0a\0", ...texts], special };
  };
  // Whole scores, so that there are equal ways; and some that no text becomes.
  const plamo = randomPieces(new Rng(3), 900).map(([text, , score]): Entry => {
    const spelt = text.replaceAll("▁", " ");
    return [spelt, , spelt.length === 3 ? -1000.25 : Math.round(score! / 4)];
  });
  plamo.push(["hopeless", , -2000], ["  ", , -3], ["a b", , -1], ["\n\n", , 2]);
  const user: Entry = ["<user>", TokenType.userDefined];
  return [
    peer("bert", bertMetadata([...bert, user]), []),
    peer("bert-special", bertMetadata(bert), [["general.name", "modern-bert-x"]]),
    peer("bert-cased", bertMetadata(bert), [flag("normalizer.lowercase", false)]),
    peer("bert-accents", bertMetadata(bert), [flag("normalizer.strip_accents", false)]),
    peer("t5", unigramMetadata([user, ...unigram]), [
      table,
      flag("add_space_prefix", true),
      flag("remove_extra_whitespaces", true),
    ]),
    peer("t5-across", unigramMetadata([...unigram, ...across]), [
      table,
      flag("add_space_prefix", true),
    ]),
    peer("t5-bare-special", unigramMetadata(unigram), []),
    peer("plamo2", plamoMetadata(plamo), []),
    peer("plamo2-special", plamoMetadata([user, ...plamo]), []),
  ];
}

const TOKENS = "tokenizer.ggml.tokens";

/** A digest of ids, one list per text (FNV-1a). */
export function digestOf(all: readonly (readonly number[])[]): string {
  let hash = 0x811c9dc5;
  const take = (value: number) => hash = Math.imul(hash ^ value, 0x01000193);
  for (const ids of all) {
    take(ids.length);
    ids.forEach(take);
  }
  return (hash >>> 0).toString(16);
}

if (import.meta.main) {
  const [folder] = Deno.args;
  for (const { name, metadata, texts } of encoderPeers()) {
    const stored = [...metadata].map(([key, value]): MetadataEntry => {
      if (typeof value === "string") return [key, string(value)];
      if (typeof value === "boolean") return [key, { type: "bool", value }];
      if (typeof value === "number") return [key, { type: "u32", value }];
      return [key, list(key === TOKENS ? [...getStrings(metadata, key)] : value as Uint8Array)];
    });
    Deno.writeFileSync(`${folder}/${name}.gguf`, encodeGguf({ metadata: stored, tensors: [] }));
    Deno.writeTextFileSync(`${folder}/${name}.texts.json`, JSON.stringify(texts));
  }
}
