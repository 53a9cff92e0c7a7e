/**
 * The reference's rows of sounds beside llama.cpp's, and every choice that makes a tower that
 * hears: taken otherwise, it is further away than gelu by tanh is from gelu by the error function.
 */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import {
  type ModelConfig,
  type ModelDescription,
  projectedRows,
  readHearing,
  type TowerInput,
} from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { TINY_HEARD } from "../golden/tiny_heard.ts";
import { nmse } from "../support/compare.ts";
import {
  TINY_HEARING_NAMES,
  tinyHeard,
  tinyHearing,
  type TinyHearingName,
  tinyPositions,
} from "../support/tiny_hearing.ts";
import { withConfig } from "./changed_description.ts";

const FRAMES = 96;
/** Of a kind that hears pieces of 100. */
const LONG_FRAMES = 300;
/** 1e-6 at most of all rows: llama.cpp's gelu is by the error function here. */
const NMSE_MAX = 2e-6;
const NMSE_MIN = 1e-4;

interface Heard {
  readonly d: ModelDescription;
  readonly input: TowerInput;
}

type Mistake = (heard: Heard) => Partial<Heard>;
type Projector = NonNullable<ModelConfig["projector"]>;

const ofProjector = (change: (projector: Projector) => Partial<Projector>): Mistake => ({ d }) => ({
  d: withConfig(d, ({ projector }) => ({ projector: { ...projector!, ...change(projector!) } })),
});

const MISTAKES = {
  "earlier rows only": ({ d }) => ({ d: withConfig(d, () => ({ isEncoder: undefined })) }),
  "no positions": ({ input }) => ({ input: { ...input, added: null } }),
  "the first convolution's windows the other way round": ({ input }) => ({
    input: { ...input, patches: input.patches.map((_, i, all) => all[i - i % 3 + 2 - i % 3]) },
  }),
  "another epsilon": ({ d }) => ({
    d: withConfig(d, ({ norm }) => ({ norm: { ...norm, epsilon: 1e-5 } })),
  }),
  "no last norm": ofProjector(() => ({ lacksLastNorm: true })),
  "another epsilon in the projector": ofProjector(({ norm }) => ({
    norm: { ...norm!, epsilon: 1 },
  })),
  "another epsilon behind gates": ofProjector(() => ({ hiddenEpsilon: 1 })),
  "rows in turns": ofProjector(() => ({ merge: "turns" })),
  "another activation": ofProjector(({ activation }) => ({
    activation: activation === "silu" ? "quickGelu" : "silu",
  })),
  "positions of the first piece": ({ input }) => {
    const { added, count } = input;
    const end = 13 * added!.length / count;
    return { input: { ...input, added: added!.map((value, i) => i < end ? value : 0) } };
  },
  "frames and bands exchanged": ({ d, input }) => {
    const { bands } = d.config.patches!.plane!;
    const exchanged = (at: number) => {
      const [piece, within] = [Math.floor(at / (104 * bands)), at % (104 * bands)];
      return piece * 104 * bands + within % bands * 104 + Math.floor(within / bands);
    };
    return { input: { ...input, patches: input.patches.map((_, i, all) => all[exchanged(i)]) } };
  },
  "no norm in the projector": ofProjector(() => ({ norm: null })),
  "no means of rows": ofProjector(() => ({ pooledRows: 1 })),
  "a first stage that bends nothing": ofProjector(({ stages }) => ({
    stages: stages!.map((stage) => ({ ...stage, activation: null })),
  })),
  "gates and what they let through exchanged": ({ d }) => {
    const { projector } = d.tensors;
    const exchanged = { ...projector!, first: projector!.gate!, gate: projector!.first };
    return { d: { ...d, tensors: { ...d.tensors, projector: exchanged } } };
  },
} satisfies Record<string, Mistake>;

const ALL = [
  ...["earlier rows only", "no positions", "another epsilon", "no last norm"] as const,
  "the first convolution's windows the other way round" as const,
];
const CHOICES: Readonly<Record<TinyHearingName, readonly (keyof typeof MISTAKES)[]>> = {
  gemma4ua: ["another epsilon in the projector", "no norm in the projector"],
  glma: [
    ...[...ALL, "another epsilon in the projector", "rows in turns", "another activation"] as const,
    "no norm in the projector",
  ],
  meralion: [
    ...[...ALL, "another epsilon in the projector", "rows in turns", "another activation"] as const,
    ...["gates and what they let through exchanged", "a first stage that bends nothing"] as const,
  ],
  musicflamingo: [...ALL, "another activation", "no means of rows"],
  "qwen2.5o": [...ALL, "no means of rows"],
  qwen2a: [...ALL, "no means of rows"],
  qwen3a: [
    ...["earlier rows only", "no positions", "another epsilon", "no last norm"] as const,
    ...[
      "another activation",
      "positions of the first piece",
      "frames and bands exchanged",
    ] as const,
  ],
  ultravox: [
    ...ALL,
    ...["another epsilon in the projector", "another epsilon behind gates"] as const,
    ...["rows in turns", "another activation"] as const,
    "gates and what they let through exchanged",
  ],
  voxtral: [...ALL, "rows in turns", "another activation"],
};

for (const name of TINY_HEARING_NAMES) {
  Deno.test(`the reference hears by ${name} as llama.cpp does`, () => {
    const bytes = tinyHearing({ kind: name });
    const file = parseGguf(bytes);
    const { description, sounds } = readHearing(file);
    const input = tinyHeard(
      name === "qwen3a" ? LONG_FRAMES : FRAMES,
      sounds,
      tinyPositions(bytes, sounds),
    );
    const d = name === "voxtral" ? asPeer(description) : description;
    const error = (heard: Heard) => {
      const own = TensorReader.ofBytes(bytes);
      const rows = new ReferenceModel(file, { description: heard.d, reader: own }).see(heard.input);
      const { projector } = heard.d.config;
      const count = projectedRows(projector!, input.kept);
      assertEquals(rows.length, count! * projector!.outputLength);
      const ends = [...rows.subarray(0, 6), ...rows.subarray(rows.length - 6)];
      return nmse(Float64Array.from(ends), Float64Array.from(TINY_HEARD[name]));
    };
    assertLess(error({ d, input }), NMSE_MAX);
    for (const mistake of CHOICES[name]) {
      assertGreater(
        error({ d, input, ...MISTAKES[mistake]({ d, input }) }),
        NMSE_MIN,
        `${mistake}`,
      );
    }
  });
}

/** Of means of two rows. */
function asPeer(d: ModelDescription): ModelDescription {
  return withConfig(d, ({ projector }) => ({ projector: { ...projector!, pooledRows: 2 } }));
}
