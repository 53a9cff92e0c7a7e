/**
 * The reference's rows of sounds beside llama.cpp's, and every choice that makes a tower that
 * hears: taken otherwise, it is further away than gelu by tanh is from gelu by the error function.
 */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import {
  type LayerTensors,
  type ModelConfig,
  type ModelDescription,
  projectedRows,
  readHearing,
  type TowerInput,
} from "../../src/model/mod.ts";
import type { WindowQueriesTensors } from "../../src/model/window_queries.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { TINY_HEARD } from "../golden/tiny_heard.ts";
import { nmse } from "../support/compare.ts";
import { someOf } from "../support/deep.ts";
import {
  TINY_EAR,
  TINY_HEARING_NAMES,
  TINY_LFM2A,
  tinyHeard,
  tinyHearing,
  type TinyHearingName,
  tinyPositions,
} from "../support/tiny_hearing.ts";
import { withConfig } from "./changed_description.ts";

const FRAMES = 96;
/** Of a kind that hears pieces of 100. */
const LONG_FRAMES = 300;
/** Of kinds whose last row may have fewer of them. */
const FRAMES_OF: Partial<Record<TinyHearingName, number>> = {
  ...{ qwen3a: LONG_FRAMES, gemma4a: 94, lfm2a: 98, parakeet: 98 },
};
/** 1e-6 at most of all rows: llama.cpp's gelu is by the error function here. */
const NMSE_MAX = 2e-6;
const NMSE_MIN = 1e-4;

interface Heard {
  readonly d: ModelDescription;
  readonly input: TowerInput;
}

type Mistake = (heard: Heard) => Partial<Heard>;
type Projector = NonNullable<ModelConfig["projector"]>;
type Relative = NonNullable<ModelConfig["relative"]>;
type QueriesBlock = WindowQueriesTensors["blocks"][number];
type BlockChange = (
  block: QueriesBlock,
  index: number,
  all: readonly QueriesBlock[],
) => QueriesBlock;
type Filter = NonNullable<LayerTensors["filter"]>;

const ofProjector = (change: (projector: Projector) => Partial<Projector>): Mistake => ({ d }) => ({
  d: withConfig(d, ({ projector }) => ({ projector: { ...projector!, ...change(projector!) } })),
});

const ofRelative = (
  change: (relative: Relative) => Partial<Relative>,
): Mistake =>
({ d }) => ({
  d: withConfig(d, ({ relative }) => ({ relative: { ...relative!, ...change(relative!) } })),
});

const ofLayers = (change: (layer: LayerTensors) => LayerTensors): Mistake => ({ d }) => ({
  d: { ...d, tensors: { ...d.tensors, layers: d.tensors.layers.map(change) } },
});

const ofFilter = (change: (filter: Filter) => Filter): Mistake =>
  ofLayers((layer) => ({ ...layer, ...layer.filter && { filter: change(layer.filter) } }));

const ofBlocks = (change: BlockChange): Mistake => ({ d }) => {
  const { projector } = d.tensors;
  const { windowQueries } = projector!;
  const blocks = windowQueries!.blocks.map(change);
  const changed = { ...projector!, windowQueries: { ...windowQueries!, blocks } };
  return { d: { ...d, tensors: { ...d.tensors, projector: changed } } };
};

const MISTAKES = {
  "earlier rows only": ({ d }) => ({ d: withConfig(d, () => ({ isEncoder: undefined })) }),
  "no positions": ({ input }) => ({ input: { ...input, added: null } }),
  "the first convolution's windows the other way round": ({ input }) => ({
    input: { ...input, patches: input.patches.map((_, i, all) => all[i - i % 3 + 2 - i % 3]) },
  }),
  "another epsilon": ({ d }) => ({
    d: withConfig(d, ({ norm }) => ({ norm: { ...norm, epsilon: 1e-5 } })),
  }),
  "another kind's epsilon": ({ d }) => ({
    d: withConfig(d, ({ norm }) => ({ norm: { ...norm, epsilon: TINY_EAR.epsilon } })),
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
  "bands from the other end": ({ d, input }) => {
    const { bands } = d.config.patches!.subsampling!;
    const patches = input.patches.map((_, i, all) => all[i - i % bands + bands - 1 - i % bands]);
    return { input: { ...input, patches } };
  },
  "zeros in the place of missing frames": ({ d, input }) => {
    const patches = new Float32Array(input.count * d.config.patches!.length);
    patches.set(input.patches);
    return { input: { ...input, patches } };
  },
  "a row more that is seen": ofRelative(({ rowsSeen }) => ({ rowsSeen: rowsSeen! + 1 })),
  "positions as large as keys": ({ d }) => ({
    d: withConfig(d, ({ relative, attentionScale }) => ({
      relative: { ...relative!, positionScale: attentionScale },
    })),
  }),
  "scores of a lower cap": ({ d }) => ({ d: withConfig(d, () => ({ attentionSoftCap: 5 })) }),
  "all of what neurons give": ({ d }) => ({
    d: withConfig(d, ({ layers }) => ({
      layers: layers.map((layer) => ({ ...layer, neuronShare: 1 })),
    })),
  }),
  "another epsilon of convolutions": ({ d }) => ({
    d: withConfig(d, ({ patches }) => ({
      patches: { ...patches!, subsampling: { ...patches!.subsampling!, epsilon: 0.1 } },
    })),
  }),
  "no norms at ends of layers": ofLayers(({ endNorm: _, ...layer }) => layer),
  "waves in halves": ofRelative(() => ({ waves: "halves" })),
  "twelve rows that are seen": ofRelative(() => ({ rowsSeen: 12 })),
  "a row's bands side by side": ({ d }) => ({
    d: withConfig(d, ({ patches }) => ({
      patches: { ...patches!, subsampling: { ...patches!.subsampling!, order: "byBand" } },
    })),
  }),
  "keys as if they were positions": ofLayers((layer) => ({
    ...layer,
    ...layer.relative && { relative: { ...layer.relative, keySum: layer.relative.positionSum } },
  })),
  "taps of rows before": ofFilter((filter) => ({ ...filter, tapsAhead: 0 })),
  "channels without a sum": ofFilter((filter) => ({ ...filter, sum: undefined })),
  "channels that are normalised": ofFilter((filter) => ({ ...filter, isNormalized: true })),
  "channels that are not counted": ofFilter((filter) => ({ ...filter, counted: undefined })),
  "mean and variance exchanged": ofFilter((filter) => ({
    ...filter,
    counted: { mean: filter.counted!.variance, variance: filter.gains },
  })),
  "no gains of queries": ofLayers((layer) => ({
    ...layer,
    ...layer.relative && { relative: { ...layer.relative, queryGains: undefined } },
  })),
  "no gains of keys": ofLayers((layer) => ({
    ...layer,
    ...layer.relative && { relative: { ...layer.relative, keyGains: undefined } },
  })),
  "what is gated and its gate exchanged": ofLayers((layer) => (
    layer.filter ? { ...layer, query: layer.key, key: layer.query } : layer
  )),
  "taps without what is added": ofFilter((filter) => ({ ...filter, bias: undefined })),
  "bands of a row from the other end": ({ d, input }) => {
    const { length } = d.config.patches!;
    const patches = input.patches.map((_, i, all) => all[i - i % length + length - 1 - i % length]);
    return { input: { ...input, patches } };
  },
  // One that has as many distances on each side as there are.
  "blocks of a row more": ({ d }) => {
    const layers = d.tensors.layers.map((layer) => {
      const { positions } = layer.relative ?? {};
      if (!positions) return layer;
      const more = { ...positions, rowStart: positions.rowStart - 1, rows: positions.rows + 2 };
      return { ...layer, relative: { ...layer.relative, positions: more } };
    });
    const own = withConfig(d, ({ relative }) => ({
      relative: { ...relative!, blockRows: relative!.blockRows! + 1 },
    }));
    return { d: { ...own, tensors: { ...d.tensors, layers } } };
  },
  "distances the other way round": ofLayers((layer) => ({
    ...layer,
    ...layer.relative &&
      { relative: { ...layer.relative, positions: { ...layer.relative.positions, rowStart: 5 } } },
  })),
  "what is said between layers bent by gelu": ofProjector(({ fold }) => ({
    fold: { ...fold!, softens: undefined },
  })),
  "it is said a layer earlier": ofProjector(({ fold }) => ({
    fold: { ...fold!, behind: fold!.behind - 1 },
  })),
  "windows of a row more": ofProjector(({ windowQueries }) => ({
    windowQueries: { ...windowQueries!, rows: windowQueries!.rows + 1 },
  })),
  "another epsilon of queries": ofProjector(({ windowQueries }) => ({
    windowQueries: { ...windowQueries!, epsilon: 0.1 },
  })),
  "queries that ask windows only": ofBlocks((block) => ({ ...block, own: block.window })),
  "neurons of queries exchanged": ofBlocks((block, i, all) => {
    const { first, second } = all[1 - i];
    return { ...block, first, second };
  }),
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
  gemma4a: [
    ...["bands from the other end", "zeros in the place of missing frames"] as const,
    ...["a row more that is seen", "positions as large as keys", "scores of a lower cap"] as const,
    ...["all of what neurons give", "another epsilon of convolutions"] as const,
    ...["no norms at ends of layers", "no gains of queries", "no gains of keys"] as const,
    ...["what is gated and its gate exchanged", "taps without what is added"] as const,
    ...["another kind's epsilon", "another epsilon behind gates"] as const,
  ],
  gemma4ua: ["another epsilon in the projector", "no norm in the projector"],
  glma: [
    ...[...ALL, "another epsilon in the projector", "rows in turns", "another activation"] as const,
    "no norm in the projector",
  ],
  granite_speech: [
    ...["bands of a row from the other end", "blocks of a row more"] as const,
    ...["distances the other way round", "all of what neurons give"] as const,
    ...["no norms at ends of layers", "what is gated and its gate exchanged"] as const,
    ...["taps of rows before", "channels without a sum"] as const,
    ...["what is said between layers bent by gelu", "it is said a layer earlier"] as const,
    ...["another epsilon", "windows of a row more", "another epsilon of queries"] as const,
    ...["queries that ask windows only", "neurons of queries exchanged"] as const,
  ],
  lfm2a: [
    ...["bands from the other end", "zeros in the place of missing frames"] as const,
    ...["waves in halves", "twelve rows that are seen", "all of what neurons give"] as const,
    ...["no norms at ends of layers", "what is gated and its gate exchanged"] as const,
    ...["taps without what is added", "taps of rows before", "channels without a sum"] as const,
    ...["channels that are normalised", "keys as if they were positions"] as const,
    ...["another kind's epsilon", "another epsilon in the projector"] as const,
    ...["a row's bands side by side", "another activation", "no norm in the projector"] as const,
  ],
  meralion: [
    ...[...ALL, "another epsilon in the projector", "rows in turns", "another activation"] as const,
    ...["gates and what they let through exchanged", "a first stage that bends nothing"] as const,
  ],
  musicflamingo: [...ALL, "another activation", "no means of rows"],
  parakeet: [
    ...["bands from the other end", "zeros in the place of missing frames"] as const,
    ...["waves in halves", "all of what neurons give", "keys as if they were positions"] as const,
    ...["taps of rows before", "channels that are not counted"] as const,
    ...["mean and variance exchanged", "another epsilon", "another activation"] as const,
    ...["another epsilon in the projector", "no norm in the projector"] as const,
  ],
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
    const bytes = tinyHearing({ kind: name, ...name === "lfm2a" && { lengths: TINY_LFM2A } });
    const file = parseGguf(bytes);
    const { description, sounds } = readHearing(file);
    const input = tinyHeard(
      FRAMES_OF[name] ?? FRAMES,
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
    for (const mistake of someOf(CHOICES[name])) {
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
