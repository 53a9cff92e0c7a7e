/** What choices that make a tower and a projector are taken for otherwise. */
import type {
  DenseTensors,
  LayerConfig,
  MatrixTensor,
  ModelConfig,
  ModelDescription,
  ModelTensors,
  ProductLimits,
  TowerInput,
} from "../../src/model/mod.ts";
import { mapLayers, withActivation, withConfig, withRopes } from "./changed_description.ts";

/** A tower and what goes into it. */
export interface Seen {
  readonly d: ModelDescription;
  readonly input: TowerInput;
}

type Mistake = (seen: Seen) => Partial<Seen>;
type RopeAxes = NonNullable<ModelConfig["ropes"][number]["axes"]>;
type Frame = NonNullable<NonNullable<ModelTensors["projector"]>["frame"]>;
type Fold = NonNullable<NonNullable<ModelTensors["projector"]>["fold"]>;
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
const ofFold = (change: (fold: Fold) => Partial<Fold>) =>
  ofTensors(({ projector }) => ({
    projector: { ...projector!, fold: { ...projector!.fold!, ...change(projector!.fold!) } },
  }));
/** Even frequencies in the first half; in the second half those, or the odd ones. */
const powersOf = (more: 0 | 1) => ({ axisOf: { length } }: RopeAxes) => ({
  powerOf: Array.from({ length }, (_, i) => 2 * (i % (length / 2)) + (2 * i < length ? 0 : more)),
});

const ofLayers = (change: (layer: LayerConfig) => Partial<LayerConfig>) =>
  ofTower((d) =>
    withConfig(
      d,
      ({ layers }) => ({ layers: layers.map((each) => ({ ...each, ...change(each) })) }),
    )
  );

/** What is taken otherwise. */
export const MISTAKES = {
  "nothing from around": ofTensors(({ projector }) => (
    { projector: { ...projector!, channels: undefined } }
  )),
  "another bias around": ofTensors(({ projector }) => {
    const { channels, first } = projector!;
    return { projector: { ...projector!, channels: { ...channels!, bias: first.bias! } } };
  }),
  "no sinks": ofTower((d) => mapLayers(d, (layer) => ({ ...layer, attentionSinks: null }))),
  "windows along lines alone": ofLayers(() => ({ byColumns: undefined })),
  "shorter windows": ofLayers(({ slidingWindow }) => (
    { slidingWindow: Math.max(0, slidingWindow - 1) }
  )),
  "windows in no layer": ofLayers(() => ({ slidingWindow: 0, byColumns: undefined })),
  "earlier rows only": ofTower((d) => withConfig(d, () => ({ isEncoder: undefined }))),
  "gelu of another kind": ofTower((d) => {
    const { activation } = d.config.feedForward;
    const isGelu = activation === "gelu" || activation === "geluErf";
    return withActivation(d, { activation: isGelu ? "quickGelu" : "gelu" });
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
  "no biases of convolutions": ofTensors(({ projector }) => ({
    projector: {
      ...projector!,
      convolutions: projector!.convolutions!.map(({ matrix, norm }) => (
        { matrix: { ...matrix, bias: null }, norm }
      )),
    },
  })),
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
  "turned from a head's beginning": ofTower((d) =>
    withConfig(d, ({ ropes }) => ({
      ropes: ropes.map((rope) => ({ ...rope, start: rope.start! - rope.dimensionCount })),
    }))
  ),
  "a row's gelu of another kind": ofProjector(({ rowStages }) => ({
    rowStages: rowStages!.map((stage) => (
      { ...stage, activation: stage.activation && "quickGelu" }
    )),
  })),
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
  "windows in the last layer": ofTower((d) =>
    withConfig(d, ({ layers }) => ({ layers: layers.toReversed() }))
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
  "no bias of folded rows": ofFold(({ second }) => ({ second: { ...second, bias: null } })),
  "another norm of folded rows": ofFold(({ norm }) => ({
    norm: { weight: norm!.bias, bias: null },
  })),
  "folded one layer later": ofProjector(({ fold }) => ({
    fold: { ...fold!, behind: fold!.behind + 1 },
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
