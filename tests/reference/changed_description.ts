/** A model's description with one choice read otherwise. */
import type {
  AltUpTensors,
  ExpertTensors,
  LayerAltUpTensors,
  ModelConfig,
  ModelDescription,
} from "../../src/model/mod.ts";

type Layer = ModelDescription["tensors"]["layers"][number];

export function mapLayers(
  { config, tensors }: ModelDescription,
  change: (layer: Layer) => Layer,
): ModelDescription {
  return { config, tensors: { ...tensors, layers: tensors.layers.map(change) } };
}

export function withConfig(
  { config, tensors }: ModelDescription,
  change: (config: ModelConfig) => Partial<ModelConfig>,
): ModelDescription {
  return { config: { ...config, ...change(config) }, tensors };
}

export function mapMixtures(
  d: ModelDescription,
  change: (block: ExpertTensors) => Partial<ExpertTensors>,
): ModelDescription {
  return mapLayers(d, (l) => {
    const { feedForward } = l;
    if (feedForward?.kind !== "experts") return l;
    return { ...l, feedForward: { ...feedForward, ...change(feedForward) } };
  });
}

export function withActivation(d: ModelDescription, change: Partial<ModelConfig["feedForward"]>) {
  return withConfig(d, ({ feedForward }) => ({ feedForward: { ...feedForward, ...change } }));
}

export function withRopes(d: ModelDescription, change: Partial<ModelConfig["ropes"][number]>) {
  return withConfig(d, ({ ropes }) => ({ ropes: ropes.map((rope) => ({ ...rope, ...change })) }));
}

export function withExperts(
  d: ModelDescription,
  change: Partial<NonNullable<ModelConfig["experts"]>>,
) {
  return withConfig(d, ({ experts, layers }) => ({
    experts: experts && { ...experts, ...change },
    layers: layers.map((layer) => {
      const { shape } = layer;
      if (!shape?.experts) return layer;
      return { ...layer, shape: { ...shape, experts: { ...shape.experts, ...change } } };
    }),
  }));
}

/** What layers have for several residual streams. */
export function withAltUp(
  d: ModelDescription,
  change: (tensors: LayerAltUpTensors) => Partial<LayerAltUpTensors>,
): ModelDescription {
  return mapLayers(d, (l) => ({ ...l, altUp: l.altUp && { ...l.altUp, ...change(l.altUp) } }));
}

/** What makes them at the beginning, and one of them at the end. */
export function withEnds(
  { config, tensors }: ModelDescription,
  change: (tensors: AltUpTensors) => AltUpTensors,
): ModelDescription {
  return { config, tensors: { ...tensors, altUp: tensors.altUp && change(tensors.altUp) } };
}
