/** Damaged statistics whose sum is right all the same: refused in a few words, or sane. */
import { assert, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { createHash } from "node:crypto";
import { concatBytes } from "../../src/base/bytes.ts";
import { activeFraction, hotFraction, thresholdsFor } from "../../src/stats/firing_stats.ts";
import { decodeStats, encodeStats } from "../../src/stats/stats_file.ts";
import { assertRefusal, corpus, damage, damages, fuzzRuns, timed } from "../support/fuzz.ts";
import { someStats } from "./stats_fixture.ts";

Deno.test("decodeStats() refuses or reads what was found before (tests/corpus/stats)", () => {
  for (const { name, bytes } of corpus("stats")) {
    useAll(bytes, name);
    useAll(signed(bytes), `${name}, signed`);
  }
});

Deno.test("decodeStats() refuses or reads statistics with any damage", () => {
  const seeds = [someStats(), someStats({ sparsity: null }, 70_000)].map(encodeStats);
  fc.assert(
    fc.property(fc.boolean(), damages(1200), (isLoud, pieces) => {
      const bytes = damage(seeds[Number(isLoud)], pieces, 1200);
      useAll(bytes, "as it is");
      useAll(signed(bytes), "signed");
    }),
    fuzzRuns(400),
  );
});

Deno.test("decodeStats() refuses or reads a header with any values in it", () => {
  const file = encodeStats(someStats());
  const [, headerBegin] = lineEnds(file);
  const [headerEnd] = lineEnds(file.subarray(headerBegin)).map((at) => at + headerBegin);
  const header = JSON.parse(new TextDecoder().decode(file.subarray(headerBegin, headerEnd)));
  const paths = [
    ...Object.keys(header),
    ...Object.keys(header.subject).map((key) => `subject.${key}`),
  ];
  const value = fc.oneof(
    fc.constantFrom(-1, 0, 0.5, 1e308, -0, 2 ** 31, 2 ** 53, 1e15, null, "", [], {}, true),
    fc.jsonValue({ maxDepth: 3 }),
    fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 5 }),
  );
  const changes = fc.array(fc.tuple(fc.constantFrom(...paths), value), {
    minLength: 1,
    maxLength: 3,
  });
  fc.assert(
    fc.property(changes, (entries) => {
      const changed = structuredClone(header);
      for (const [path, value] of entries) {
        const [outer, inner] = path.split(".");
        if (inner === undefined) changed[outer] = value;
        else if (typeof changed.subject === "object" && changed.subject !== null) {
          changed.subject[inner] = value;
        }
      }
      const json = new TextEncoder().encode(JSON.stringify(changed));
      useAll(
        signed(concatBytes([file.subarray(0, headerBegin), json, file.subarray(headerEnd)])),
        "",
      );
    }),
    fuzzRuns(800),
  );
});

/** Reads, and uses what was read as profile, plan and load do. */
function useAll(bytes: Uint8Array, hint: string): void {
  let stats;
  try {
    stats = timed(() => decodeStats(bytes, "my.stats"), hint);
  } catch (error) {
    assertRefusal(error, [Error], hint);
    assertStringIncludes((error as Error).message, 'Cannot read statistics "my.stats": ');
    return;
  }
  for (let layer = 0; layer < stats.subject.layerCount; layer++) {
    const share = hotFraction(stats, layer);
    assert(share >= 0 && share <= 1, `${share}`);
    for (const bucket of ["1", "prefill"] as const) {
      const active = activeFraction(stats, bucket, layer);
      assert(active >= 0 && active <= 1, `${active} of layer ${layer} in ${bucket}: ${hint}`);
    }
  }
  if (stats.loudness === null) return;
  for (const threshold of thresholdsFor(stats, 0.5)) {
    assert(threshold >= 0 && threshold < Infinity, `${threshold}: ${hint}`);
  }
}

/** With the sum that its bytes have: whoever means harm gets it right. */
function signed(file: Uint8Array): Uint8Array {
  const [end, begin] = lineEnds(file);
  if (end < 0) return file;
  const first = new TextDecoder().decode(file.subarray(0, end));
  const sum = createHash("sha256").update(file.subarray(begin)).digest("hex");
  const line = first.replace(/ [^ ]*$/, ` ${sum}`);
  return concatBytes([new TextEncoder().encode(`${line}\n`), file.subarray(begin)]);
}

/** Where the first line ends, and where the next one begins. */
function lineEnds(file: Uint8Array): [number, number] {
  const end = file.indexOf(10);
  return [end, end + 1];
}
