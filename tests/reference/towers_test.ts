/**
 * The reference's rows of images beside llama.cpp's, and every choice that makes a tower and a
 * projector: taken otherwise, it is further away than rounding.
 */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { list, type MetadataEntry, parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import {
  type DenseTensors,
  type MatrixTensor,
  type ModelConfig,
  type ModelDescription,
  type ModelTensors,
  type ProductLimits,
  projectedRows,
  readVision,
  type TowerInput,
} from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { TINY_ROWS } from "../golden/tiny_rows.ts";
import { nmse } from "../support/compare.ts";
import { type TinyGrid, tinyTowerInput } from "../support/tiny_image.ts";
import { TINY_KINDS, tinyVision, type TinyVisionName } from "../support/tiny_vision.ts";
import { mapLayers, withActivation, withConfig, withRopes } from "./changed_description.ts";

/** llama.cpp looks GELU up in a table of halves: 6e-7 at most. */
const NMSE_MAX = 1e-6;
/** Of another epsilon before large rows 4e-6, of another kind of gelu 6e-6 and more. */
const NMSE_MIN = 3e-6;

/** A tower and what goes into it. */
interface Seen {
  readonly d: ModelDescription;
  readonly input: TowerInput;
}

type Mistake = (seen: Seen) => Partial<Seen>;
type RopeAxes = NonNullable<ModelConfig["ropes"][number]["axes"]>;
type Frame = NonNullable<NonNullable<ModelTensors["projector"]>["frame"]>;
type Projector = NonNullable<ModelConfig["projector"]>;

const ofTower = (change: (d: ModelDescription) => ModelDescription): Mistake => ({ d }) => ({
  d: change(d),
});
const ofTensors = (change: (tensors: ModelTensors) => Partial<ModelTensors>) =>
  ofTower(({ config, tensors }) => ({ config, tensors: { ...tensors, ...change(tensors) } }));
const ofFrame = (change: (frame: Frame) => Partial<Frame>) =>
  ofTensors(({ projector }) => ({
    projector: { ...projector!, frame: { ...projector!.frame!, ...change(projector!.frame!) } },
  }));
const ofProjector = (change: (projector: Projector) => Partial<Projector>) =>
  ofTower((d) =>
    withConfig(d, ({ projector }) => ({ projector: { ...projector!, ...change(projector!) } }))
  );
const ofAxes = (change: (axes: RopeAxes) => Partial<RopeAxes>) =>
  ofTower((d) =>
    withConfig(d, ({ ropes }) => ({
      ropes: ropes.map((rope) => ({ ...rope, axes: { ...rope.axes!, ...change(rope.axes!) } })),
    }))
  );
/** Even frequencies in the first half; in the second half those, or the odd ones. */
const powersOf = (more: 0 | 1) => ({ axisOf: { length } }: RopeAxes) => ({
  powerOf: Array.from({ length }, (_, i) => 2 * (i % (length / 2)) + (2 * i < length ? 0 : more)),
});

const MISTAKES = {
  "earlier rows only": ofTower((d) => withConfig(d, () => ({ isEncoder: undefined }))),
  "gelu of another kind": ofTower((d) => {
    const { activation } = d.config.feedForward;
    return withActivation(d, { activation: activation === "gelu" ? "quickGelu" : "gelu" });
  }),
  "gelu of another kind in the projector": ofProjector(() => ({ activation: "quickGelu" })),
  "another epsilon": ofTower((d) =>
    withConfig(d, ({ norm }) => ({
      norm: { ...norm, epsilon: norm.epsilon > 1e-4 ? 1e-5 : 0.05 },
    }))
  ),
  "another epsilon in the projector": ofProjector(({ norm }) => ({
    norm: { ...norm!, epsilon: norm!.epsilon > 0.01 ? 1e-5 : 0.05 },
  })),
  "no last norm": ofProjector(() => ({ lacksLastNorm: true })),
  "no first norm": ofTensors(() => ({ embeddingNorm: null })),
  "no norm in the projector": ofProjector(() => ({ norm: null })),
  "rows side by side": ofProjector(() => ({ merge: "concat" })),
  "one frame": ofTensors(() => ({ secondFrame: undefined })),
  "blocks give all": ofTower((d) =>
    mapLayers(d, (l) => ({ ...l, attentionGains: undefined, feedForwardGains: undefined }))
  ),
  "heads as they are": ofTower((d) => mapLayers(d, (l) => ({ ...l, queryNorm: null }))),
  "not turned": ofTower((d) =>
    withConfig(
      d,
      ({ layers }) => ({
        layers: layers.map((l) => ({ ...l, rope: null, secondRope: undefined })),
      }),
    )
  ),
  "other pairs": ofTower((d) =>
    withRopes(d, { kind: d.config.ropes[0].kind === "norm" ? "neox" : "norm" })
  ),
  "rows and columns exchanged": ofAxes(({ axisOf }) => ({
    axisOf: axisOf.map((axis) => axis === 1 ? 2 : 1),
  })),
  "frequencies in turns": ofAxes(powersOf(1)),
  "frequencies of each half": ofAxes(powersOf(0)),
  "one half turned": ofTower((d) =>
    withConfig(
      d,
      ({ layers }) => ({ layers: layers.map((l) => ({ ...l, secondRope: undefined })) }),
    )
  ),
  "pairs of both halves": ofTower((d) =>
    withConfig(d, ({ headDim, ropes: [first], layers }) => ({
      ropes: [{
        ...{ ...first, dimensionCount: headDim },
        axes: {
          axisOf: Array.from({ length: headDim / 2 }, (_, i) => 4 * i < headDim ? 2 : 1),
          powerOf: Array.from({ length: headDim / 2 }, (_, i) => 2 * (i % (headDim / 4))),
        },
      }],
      layers: layers.map((l) => ({ ...l, secondRope: undefined })),
    }))
  ),
  "another base": ofTower((d) => withRopes(d, { frequencyBase: 10000 })),
  "keys and values exchanged": ofTower((d) =>
    mapLayers(d, (l) => ({ ...l, key: l.value, value: l.key }))
  ),
  "values as they are": ofTower((d) => mapLayers(d, (l) => ({ ...l, valueNorm: null }))),
  "scores scaled": ofTower((d) =>
    withConfig(d, ({ headDim }) => ({ attentionScale: 1 / Math.sqrt(headDim) }))
  ),
  "no norms behind blocks": ofTower((d) =>
    mapLayers(d, (l) => ({ ...l, attentionPostNorm: null, feedForwardPostNorm: null }))
  ),
  "rows as they are": ofTensors(({ projector }) => ({
    projector: { ...projector!, standard: undefined },
  })),
  "rows of another size": ofProjector(() => ({ mergedScale: 1 })),
  "no windows": ofTower((d) =>
    withConfig(d, ({ layers }) => ({
      layers: layers.map((l) => ({ ...l, attentionChunk: undefined, windowSide: undefined })),
    }))
  ),
  "rows of another layer": ofProjector(() => ({ deepLayers: [1] })),
  "blocks by columns": ({ d: { config }, input }: Seen) => ({
    input: exchanged(input, config, config.projector!.mergedRows),
  }),
  "class tokens with positions": ({ d: { config }, input }: Seen) => {
    const added = input.added!.slice();
    const from = input.kept * config.embeddingLength;
    for (let i = from; i < added.length; i++) added[i] += added[i - from];
    return { input: { ...input, added } };
  },
  "pixels as they are": ofTensors(() => ({ pixelNorm: undefined })),
  "no norm of patches": ofTensors(() => ({ patchNorm: undefined })),
  "norm behind positions": ofTensors(({ patchNorm }) => ({
    ...{ patchNorm: undefined, embeddingNorm: patchNorm },
  })),
  "no gate in the projector": ofTensors(({ projector }) => ({
    projector: { ...projector!, gate: undefined },
  })),
  "no norm of a stage": ofTensors(({ projector }) => ({
    projector: { ...projector!, stages: projector!.stages!.map((s) => ({ ...s, norm: null })) },
  })),
  "a stage's gelu of another kind": ofProjector(({ stages }) => ({
    stages: stages!.map((stage) => ({ ...stage, activation: stage.activation && "quickGelu" })),
  })),
  "rows as they come out": ofFrame(() => ({ norm: { weight: null, bias: null } })),
  "a begin for an end": ofFrame(({ begin }) => ({ end: begin })),
  "no end of lines": ofFrame(({ lineEnd }) => ({
    lineEnd: { ...lineEnd, tensor: "mm.2.bias" },
  })),
  "keys without places": ({ input }: Seen) => ({
    input: { ...input, positions: new Int32Array(input.positions!.length) },
  }),
  "keys of rows before columns": ({ input }: Seen) => ({
    input: {
      ...input,
      positions: input.positions!.map((_, i) => input.positions![i - i % 3 + (3 - i % 3) % 3]),
    },
  }),
  "queries and keys exchanged": ofTensors(({ projector }) => ({
    projector: {
      ...projector!,
      resampler: {
        ...projector!.resampler!,
        query: projector!.resampler!.key,
        key: projector!.resampler!.query,
      },
    },
  })),
  "another epsilon of queries": ofProjector(({ resampler }) => ({
    resampler: { ...resampler!, epsilon: 1e-5 },
  })),
  "no limits": ofTower((d) => withoutLimits(d, [])),
  "no limits of what products read": ofTower((d) => withoutLimits(d, ["outputMax"])),
  "no limits of what products give": ofTower((d) => withoutLimits(d, ["inputMin", "inputMax"])),
  "patches without positions": ({ input }: Seen) => ({ input: { ...input, added: null } }),
} satisfies Readonly<Record<string, Mistake>>;

/** All but those that are kept. */
function withoutLimits(d: ModelDescription, kept: readonly (keyof ProductLimits)[]) {
  const bare = <M extends MatrixTensor | null>(matrix: M): M => {
    const limits = matrix?.limits;
    if (limits === undefined) return matrix;
    const none = { inputMin: null, inputMax: null, outputMin: null, outputMax: null };
    return {
      ...matrix,
      limits: { ...none, ...Object.fromEntries(kept.map((k) => [k, limits[k]])) },
    };
  };
  return mapLayers(d, (l) => {
    const block = l.feedForward as DenseTensors;
    const { gate, up, down } = block;
    return {
      ...l,
      ...{ query: bare(l.query), key: bare(l.key), value: bare(l.value) },
      attentionOutput: bare(l.attentionOutput),
      feedForward: { ...block, gate: bare(gate), up: bare(up), down: bare(down) },
    };
  });
}

const SIGLIP = [
  ...["earlier rows only", "gelu of another kind", "another epsilon", "no last norm"] as const,
  "patches without positions" as const,
];
const TURNING = ["not turned", "other pairs", "rows and columns exchanged"] as const;

const CHOICES: Readonly<Record<TinyVisionName, readonly (keyof typeof MISTAKES)[]>> = {
  "gemma3": [...SIGLIP, "no norm in the projector", "another epsilon in the projector"],
  "gemma3-odd": ["no last norm"],
  "gemma4v": [
    ...[...TURNING, "one half turned", "pairs of both halves", "another base"] as const,
    ...["gelu of another kind", "another epsilon", "patches without positions"] as const,
    ...["heads as they are", "values as they are", "scores scaled"] as const,
    ...["no norms behind blocks", "rows as they are", "rows of another size"] as const,
    ...["no norm in the projector"] as const,
  ],
  "gemma4v-limits": [
    ...["no limits", "no limits of what products read"] as const,
    "no limits of what products give",
  ],
  "gemma4uv": [
    ...["pixels as they are", "no norm of patches", "no first norm"] as const,
    ...["patches without positions", "no norm in the projector", "another epsilon"] as const,
    "another epsilon in the projector",
  ],
  "mlp": [
    ...["earlier rows only", "gelu of another kind", "another epsilon", "no first norm"] as const,
    ...["gelu of another kind in the projector", "patches without positions"] as const,
  ],
  "mlp-siglip": ["no last norm"],
  "idefics3": [...SIGLIP, "blocks by columns"],
  "internvl": [
    ...["gelu of another kind", "gelu of another kind in the projector"] as const,
    ...["another epsilon in the projector", "no norm in the projector"] as const,
    ...["blocks give all", "blocks by columns", "patches without positions"] as const,
  ],
  "internvl-norms": ["heads as they are"],
  "nemotron_v2_vl": [
    ...["earlier rows only", "gelu of another kind", "another epsilon"] as const,
    ...["patches without positions", "no norm in the projector", "blocks by columns"] as const,
    ...["another epsilon in the projector", "gelu of another kind in the projector"] as const,
    "class tokens with positions",
  ],
  "pixtral": [...TURNING, "gelu of another kind", "no first norm", "frequencies of each half"],
  "pixtral-merging": [
    ...["rows side by side", "blocks by columns", "no norm in the projector"] as const,
    "another epsilon in the projector",
  ],
  "lightonocr": [
    ...[...TURNING, "frequencies of each half", "no first norm", "rows side by side"] as const,
    "no norm in the projector",
  ],
  "qwen2vl_merger": [
    ...[...TURNING, "frequencies in turns", "one frame", "gelu of another kind"] as const,
    ...["no last norm", "blocks by columns"] as const,
  ],
  "qwen2.5vl_merger": ["no windows", "gelu of another kind"],
  "exaone4_5": ["no windows", "not turned", "one frame", "keys and values exchanged"],
  "qwen3vl_merger": [
    ...["rows of another layer", "patches without positions", "one frame"] as const,
  ],
  "lfm2": ["no norm in the projector", "another epsilon in the projector", "blocks by columns"],
  "kimivl": [
    ...["rows and columns exchanged", "frequencies in turns", "no norm in the projector"] as const,
    ...["another epsilon in the projector", "patches without positions"] as const,
  ],
  "kimik25": ["another epsilon in the projector", "patches without positions", "not turned"],
  "glm4v": [
    ...["no norm of patches", "norm behind positions", "rows side by side", "one frame"] as const,
    ...[
      "no gate in the projector",
      "no norm of a stage",
      "a stage's gelu of another kind",
    ] as const,
    ...["no last norm", "blocks by columns", "not turned"] as const,
  ],
  "hunyuanvl": [
    ...["earlier rows only", "gelu of another kind", "patches without positions"] as const,
    ...["no norm in the projector", "a stage's gelu of another kind"] as const,
    ...["rows side by side", "blocks by columns", "rows as they come out"] as const,
    ...["a begin for an end", "no end of lines"] as const,
  ],
  "llama4": [
    ...["earlier rows only", "not turned", "rows and columns exchanged"] as const,
    ...["a stage's gelu of another kind", "blocks by columns", "no first norm"] as const,
    "gelu of another kind in the projector",
  ],
  "dots_ocr": [
    ...["no last norm", "no norm in the projector", "another epsilon in the projector"] as const,
    "rows and columns exchanged",
  ],
  "paddleocr": ["not turned", "patches without positions", "another epsilon in the projector"],
  "youtuvl": [
    ...["no windows", "not turned", "rows and columns exchanged", "no last norm"] as const,
    ...["no norm in the projector", "another epsilon in the projector"] as const,
    ...["gelu of another kind", "blocks by columns"] as const,
  ],
  "phi4": ["patches without positions"],
  "resampler": [
    ...SIGLIP,
    ...[
      "keys without places",
      "keys of rows before columns",
      "queries and keys exchanged",
    ] as const,
    ...["another epsilon of queries", "another epsilon in the projector"] as const,
    "no norm in the projector",
  ],
  "janus_pro": [...SIGLIP, "gelu of another kind in the projector"],
};

for (const name of Object.keys(TINY_KINDS) as TinyVisionName[]) {
  Deno.test(`rows by ${name} are llama.cpp's, and by what it is not are not`, () => {
    // llama.cpp wants rows as long as the queries.
    const outputLength = name === "resampler" ? 256 : undefined;
    const bytes = tinyVision({ kind: name, metadata: METADATA[name], outputLength });
    const file = parseGguf(bytes);
    const { description: d, images } = readVision(file);
    const grid = gridOf(name);
    const image = { images, config: d.config, grid, isLikePeer: true };
    const seen = { d, input: tinyTowerInput(image, { file, bytes }) };
    const error = ({ d, input }: Seen) => {
      const reader = TensorReader.ofBytes(bytes);
      const rows = new ReferenceModel(file, { description: d, reader }).see(input);
      const { outputLength } = d.config.projector!;
      const count = projectedRows(d.config.projector!, input.kept)!;
      assertEquals(rows.length, count * outputLength);
      const start = name === "mlp" ? outputLength : 0;
      const behind = name === "hunyuanvl" ? [3, 2, 1, 0] : [0];
      const ends = [
        ...rows.subarray(start, start + 6),
        ...behind.flatMap((row) => {
          const end = rows.length - row * outputLength;
          return [...rows.subarray(end - 6, end)];
        }),
      ];
      return nmse(Float64Array.from(ends), Float64Array.from(TINY_ROWS[name]));
    };
    assertLess(error(seen), NMSE_MAX);
    for (const mistake of CHOICES[name]) {
      assertGreater(error({ ...seen, ...MISTAKES[mistake](seen) }), NMSE_MIN, mistake);
    }
  });
}

/** llama.cpp leaves out one layer more where a file does not say which one it wants. */
const METADATA: Partial<Record<TinyVisionName, MetadataEntry[]>> = {
  "mlp": [["clip.vision.feature_layer", list(Int32Array.of(2))]],
};

/** Images that keep their shapes are no squares, where no positions are learned. */
function gridOf(name: TinyVisionName): TinyGrid {
  if (name === "qwen2.5vl_merger" || name === "exaone4_5") return { rows: 8, columns: 16 };
  if (name === "youtuvl") return { rows: 10, columns: 6 };
  const isFree = name.startsWith("pixtral") || name === "resampler" || name === "qwen2vl_merger" ||
    ["dots_ocr", "gemma4v", "gemma4uv", "gemma4v-limits", "hunyuanvl", "lightonocr"].includes(name);
  return isFree ? { rows: 4, columns: 6 } : { rows: 6, columns: 6 };
}

/** The second and the third row of each block in each other's places. */
function exchanged(input: TowerInput, { embeddingLength, patches }: ModelConfig, block: number) {
  const swap = <T extends Float32Array | Int32Array>(values: T, width: number): T => {
    const out = values.slice() as T;
    for (let row = 0; row < input.kept; row++) {
      const within = row % block;
      const from = within === 1 ? row + 1 : within === 2 ? row - 1 : row;
      out.set(values.subarray(from * width, (from + 1) * width), row * width);
    }
    return out;
  };
  return {
    ...input,
    patches: swap(input.patches, patches!.length),
    added: input.added && swap(input.added, embeddingLength),
    positions: input.positions && swap(input.positions, 3),
  };
}
