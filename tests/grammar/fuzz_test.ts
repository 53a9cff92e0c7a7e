/**
 * The corpus of grammars and schemas, whole and damaged at random: each is compiled and followed
 * for a while, or refused as a request is; nothing else happens, and all of it soon.
 */
import { assert, assertEquals } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import type { GrammarSource } from "../../src/llm/types.ts";
import { Rng } from "../support/rng.ts";
import { gbnf, idsIn, matcherOf, schema } from "./tiny.ts";

const CORPUS = new URL("./corpus/", import.meta.url);
/** Rounds of damage per file; more for a long run: FUZZ_ROUNDS=100000. */
const ROUNDS = Number(Deno.env.get("FUZZ_ROUNDS") ?? 150);
const SECONDS_MAX = 2;

/** What damage puts in: what the languages have meaning for. */
const PIECES = [
  ...["(", ")", "[", "]", "{", "}", '"', "\\", "|", "*", "+", "?", "^", "$", "-", ".", "::=", "\n"],
  ...["{2,}", "{1,900}", "{1000000000}", "\\u", "\\x", "root", "#", "<", "!", "\u0000", "\ud800"],
  ...['"$ref":"#"', '"$ref":"#/$defs/node",', '"type":"object",', '"not":{},', "null", "1e999"],
  ...['"maxItems":1e9,', '"minLength":-1,', '"pattern":"(a*)*$",', '"allOf":[{}],', "true", "[]"],
];

for (const { name } of [...Deno.readDirSync(CORPUS)].sort((a, b) => a.name < b.name ? -1 : 1)) {
  const text = Deno.readTextFileSync(new URL(name, CORPUS));
  const isSchema = name.endsWith(".json");

  Deno.test(`compileGrammar() takes ${name} of the corpus`, () => {
    assert(follow(isSchema ? schema(JSON.parse(text)) : gbnf(text), new Rng(1)) > 10);
  });

  Deno.test(`compileGrammar() takes or refuses ${name} damaged at random, and soon`, () => {
    let taken = 0;
    for (let seed = 0; seed < ROUNDS; seed++) {
      const rng = new Rng(seed);
      const damaged = isSchema ? damagedSchema(text, rng) : gbnf(damage(text, rng));
      const start = performance.now();
      try {
        follow(damaged, rng);
        taken++;
      } catch (error) {
        assert(error instanceof RequestError, `seed ${seed}: ${(error as Error).stack}`);
        assertEquals(error.status, 400);
      }
      const seconds = (performance.now() - start) / 1000;
      assert(seconds < SECONDS_MAX, `seed ${seed} took ${seconds.toFixed(1)} s`);
    }
    assert(taken > 0 && taken < ROUNDS, `${taken} of ${ROUNDS} were taken`);
  });
}

/** Walks through a grammar by chance; @returns how many bytes it came. */
function follow(source: GrammarSource, rng: Rng): number {
  const matcher = matcherOf(source);
  for (let count = 0; count < 60; count++) {
    const ids = idsIn(matcher.mask()).filter((id) => id < 256);
    if (ids.length === 0) {
      assert(matcher.isFinished, "a grammar that was taken leads to an end");
      return count;
    }
    matcher.accept(ids[rng.int(ids.length)]);
  }
  return 60;
}

/** Cuts, doubles, moves and puts in, one to four times. */
function damage(text: string, rng: Rng): string {
  let damaged = text;
  for (let rest = 1 + rng.int(4); rest > 0; rest--) {
    const from = rng.int(damaged.length + 1);
    const to = Math.min(damaged.length, from + rng.int(12));
    const [before, cut, after] = [
      damaged.slice(0, from),
      damaged.slice(from, to),
      damaged.slice(to),
    ];
    const piece = PIECES[rng.int(PIECES.length)];
    const kinds = [
      before + after,
      before + cut + cut.repeat(1 + rng.int(50)) + after,
      before + piece + cut + after,
      before + piece + after,
      before + after + cut,
    ];
    damaged = kinds[rng.int(kinds.length)];
  }
  return damaged;
}

/** The schema with damage to its text where that leaves JSON, else to its values. */
function damagedSchema(text: string, rng: Rng): GrammarSource {
  for (let attempt = 0; attempt < 8; attempt++) {
    try {
      return schema(JSON.parse(damage(text, rng)));
    } catch {
      // Most damage leaves no JSON, which never gets as far as here.
    }
  }
  const values = [null, true, false, -1, 0, 1e9, 1.5, "", "a", [], {}, { $ref: "#" }, [{}], "(a|b"];
  return schema(
    JSON.parse(text, (_, value) => rng.int(12) === 0 ? values[rng.int(values.length)] : value),
  );
}
