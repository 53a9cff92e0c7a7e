/** What a grammar of a schema lets through is what the schema accepts: ajv is the judge. */
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import fc from "fast-check";
import { assert } from "@std/assert";
import type { GrammarMatcher } from "../../src/grammar/mod.ts";
import { Rng } from "../support/rng.ts";
import { FORMATS } from "../../src/grammar/schema/formats.ts";
import { idsIn, matcherOf, schema as schemaSource } from "./tiny.ts";
import { randomSchema } from "./random_schema.ts";

Deno.test("every sentence of a schema's grammar is JSON that the schema accepts", () => {
  const ajv = newAjv();
  fc.assert(
    fc.property(randomSchema, fc.nat(), (schema, seed) => {
      const validate = ajv.compile(schema as object);
      const rng = new Rng(seed);
      for (let run = 0; run < 3; run++) {
        const text = sentenceBy(matcherOf(schemaSource(schema)), () => rng.float());
        const value = JSON.parse(text);
        assert(validate(value), `${text} for ${JSON.stringify(schema)}`);
      }
    }),
    { numRuns: 400, seed: 7 },
  );
});

Deno.test("every format's pattern is within the format", () => {
  for (const format of FORMATS.keys()) {
    const validate = newAjv().compile({ type: "string", format });
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const rng = new Rng(seed);
        const source = schemaSource({ type: "string", format });
        const text = sentenceBy(matcherOf(source), () => rng.float());
        assert(validate(JSON.parse(text)), `${format}: ${text}`);
      }),
      { numRuns: 100, seed: 7 },
    );
  }
});

// deno-lint-ignore no-explicit-any -- the packages' types do not describe their default exports
type Loose = any;

function newAjv(): { compile(schema: object): (value: unknown) => boolean } {
  const ajv = new (Ajv2020 as Loose)({ strict: false });
  (addFormats as Loose)(ajv);
  return ajv;
}

/** A walk through the grammar, byte by byte, that hurries to its end after a while. */
function sentenceBy(matcher: GrammarMatcher, next: () => number): string {
  const bytes: number[] = [];
  while (!matcher.isFinished) {
    const ids = idsIn(matcher.mask()).filter((id) => id < 256);
    if (ids.length === 0 || matcher.isComplete && next() < 0.3) break;
    const isLate = bytes.length > 300;
    const closing = [...'"]}0n'].map((each) => each.charCodeAt(0)).find((id) => ids.includes(id));
    const any = ids[Math.floor(next() * ids.length)];
    const id = next() < (isLate ? 0.7 : 0.2) ? closing ?? any : any;
    bytes.push(id);
    matcher.accept(id);
    if (bytes.length > 20_000) throw new Error("the walk finds no end");
  }
  return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(bytes));
}
