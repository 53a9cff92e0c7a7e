import { assertEquals, assertMatch } from "@std/assert";
import { advise, type MachineFacts } from "../../../src/cli/doctor/advice.ts";
import { GiB } from "../../../src/base/units.ts";

/** A machine about which there is nothing to complain. */
const GOOD: MachineFacts = {
  cores: 8,
  missingFlags: [],
  wasm: { simd: true, relaxed_simd: true, threads: true },
  memory: { totalBytes: 64 * GiB, availableBytes: 60 * GiB, readGbps: [10, 20, 30, 40] },
  disk: { sequentialGbps: 3, randomPerSecond: 200_000, isDirect: true },
  gpu: { kind: "real", decodeGbps: 400 },
};

Deno.test("advise() says how fast memory lets a model be, and how large one may be", () => {
  assertEquals(advise(GOOD), [
    "Each token of an answer reads every weight once, and memory brings 40.0 GB/s: at most 9.3 " +
    "tokens a second from a dense 7B model in Q4_0, 58.1 from one of 1B. Smaller quantisations " +
    "and sparse models read less.",
    "Files of up to 58.50 GiB fit into memory as it is now; larger ones run from disk: " +
    "`ganglion pack MODEL`, then --memory SIZE.",
    "The GPU reads weights faster than the cores: --gpu auto uses it where a model fits.",
  ]);
});

Deno.test("advise() names each thing that is slow, why, and what helps", () => {
  const says = (facts: Partial<MachineFacts>) => advise({ ...GOOD, ...facts }).join("\n");
  const { memory, disk } = GOOD;
  assertMatch(
    says({ missingFlags: ["--a", "--b"] }),
    /^Everything takes about twice as long.* DENO_V8_FLAGS=--a,--b\./,
  );
  assertMatch(says({ wasm: { relaxed_simd: false } }), /^No model can run: .* no relaxed_simd\./);
  assertMatch(says({ cores: 2 }), /Prompts are read slowly, .* there are 2 cores/);
  assertMatch(
    says({ memory: { ...memory, readGbps: [20, 39, 40, 40] } }),
    /2 of 8 threads already read as fast as all: for answers, --threads 2 /,
  );
  assertMatch(says({ memory: { ...memory, readGbps: null } }), /Memory was not measured/);
  assertMatch(
    says({ memory: { ...memory, availableBytes: 10 * GiB } }),
    /Other programs hold 54\.00 GiB of 64\.00 GiB/,
  );
  assertMatch(
    says({ disk: { ...disk, randomPerSecond: 300 } }),
    /will wait for the disk: it does 300 small reads/,
  );
  assertMatch(says({ disk: { ...disk, isDirect: false } }), /past the system's file cache/);
  assertMatch(says({ disk: { ...disk, sequentialGbps: 0.1 } }), /a 7B model takes 40 s/);
  assertMatch(says({ gpu: { kind: "none", decodeGbps: null } }), /WebGPU finds none/);
  assertMatch(says({ gpu: { kind: "software", decodeGbps: null } }), /is software/);
  assertMatch(says({ gpu: { kind: "real", decodeGbps: 30 } }), /no faster than the cores/);
});
