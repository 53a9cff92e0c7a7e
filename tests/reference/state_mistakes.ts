/** What a description with state spaces would be if one choice were read otherwise. */
import type {
  FinchTensors,
  KeyDeltaTensors,
  ModelDescription,
  StateSpaceTensors,
  TimeMixTensors,
} from "../../src/model/mod.ts";
import { mapLayers } from "./changed_description.ts";

type Mistake = (description: ModelDescription) => ModelDescription;

/** Mistakes about state spaces. */
export const STATE_MISTAKES = {
  "convolved without a bias": (d) => mapStates(d, () => ({ convolutionBias: null })),
  "what gates convolved": (d) =>
    mapStates(d, ({ gateRow, convolvedRow }) => ({ gateRow: convolvedRow, convolvedRow: gateRow })),
  "steps go around states": (d) => mapStates(d, ({ stepBias }) => ({ skip: stepBias })),
  "gates of all heads first": (d) =>
    mapStates(d, ({ input, isByHead, convolvedRow }) => (
      { isByHead: undefined, convolvedRow: isByHead ? input.rows / 2 : convolvedRow }
    )),
  "steps made of the first rows": (d) =>
    mapStates(d, ({ shared }) => ({
      shared: shared && { ...shared, rows: { ...shared.rows, step: 0, output: 64, input: 80 } },
    })),
  "what writes and what reads exchanged": (d) =>
    mapStates(d, ({ shared }) => ({
      shared: shared && {
        ...shared,
        rows: { ...shared.rows, input: shared.rows.output, output: shared.rows.input },
      },
    })),
  "states not normalised": (d) => mapStates(d, () => ({ norm: null })),
  "decays and biases exchanged": (d) =>
    mapStates(d, ({ decay, stepBias }) => ({ decay: stepBias, stepBias: decay })),
  "heads in another order": ({ config, tensors }) => {
    const { stateSpace: own } = config;
    const stateSpace = own && { ...own, headsTakeTurns: !own.headsTakeTurns };
    return { config: { ...config, stateSpace }, tensors };
  },
  "heads gated by queries": (d) =>
    mapLayers(d, (layer) => {
      const { attentionGate: own } = layer;
      return { ...layer, attentionGate: own?.query ? { ...own, gate: own.query } : own };
    }),
  "no states": (d) => mapLayers(d, (layer) => ({ ...layer, stateSpace: null })),
  "what channels make as it is": ({ config, tensors }) => {
    const { stateSpace } = config;
    const bare = {
      ...config,
      stateSpace: stateSpace && { ...stateSpace, normalizesInputs: false },
    };
    const without = ({ shared }: StateSpaceTensors) => (
      { shared: shared && { ...shared, norms: null } }
    );
    return mapStates({ config: bare, tensors }, without);
  },
  "channels read what they write": (d) =>
    mapStates(d, ({ shared }) => ({
      shared: shared?.norms
        ? { ...shared, norms: { ...shared.norms, output: shared.norms.input } }
        : shared,
    })),
  "shares of the first layer": (d) =>
    mapTimeMix(d, ({ shifts }) => ({
      shifts: { ...shifts, tensor: shifts.tensor.replace("blk.1.", "blk.0.") },
    })),
  "keys and values exchanged": (d) =>
    mapTimeMix(d, ({ key, value }) => ({ key: value, value: key })),
  "decays and rates exchanged": (d) =>
    mapTimeMix(d, ({ decay, rate }) => ({
      decay: { ...decay, bias: rate.bias },
      rate: { ...rate, bias: decay.bias },
    })),
  "no values of the first layer": (d) => mapTimeMix(d, () => ({ firstValue: null })),
  "keys scaled by rates": (d) => mapTimeMix(d, ({ bonus }) => ({ keyRate: bonus })),
  "keys brought back as they are": (d) => mapTimeMix(d, ({ bonus }) => ({ keyScale: bonus })),
  "another bonus": (d) => mapTimeMix(d, ({ keyScale }) => ({ bonus: keyScale })),
  "what heads give as it is": (d) => mapTimeMix(d, () => ({ norm: null })),
  "what states give ungated": (d) => mapTimeMix(d, () => ({ gate: null })),
  "shares that are not moved": (d) =>
    mapFinch(d, ({ shares, first }) => ({ shares: shares.map(() => first) })),
  "decays moved as keys": (d) =>
    mapFinch(d, ({ shares: [, key, ...others] }) => ({ shares: [key, key, ...others] })),
  "receptances and gates exchanged": (d) =>
    mapFinch(d, ({ receptance, gate }) => ({ receptance: gate, gate: receptance })),
  "keys and values of added states exchanged": (d) =>
    mapFinch(d, ({ key, value }) => ({ key: value, value: key })),
  "nothing goes around added states": (d) =>
    mapFinch(d, ({ bonus, first }) => ({ bonus: bonus && first })),
  "added states as they are": (d) => mapFinch(d, () => ({ norm: null })),
  "sums of neurons as they are": (d) =>
    mapLayers(d, (layer) => ({ ...layer, neuronGate: undefined })),
  "layers not halved": (d) => ({
    ...d,
    config: { ...d.config, layers: d.config.layers.map(({ endScale: _, ...own }) => own) },
  }),
  "queries and keys convolved as values": (d) =>
    mapKeyDeltas(d, ({ convolutions }) => {
      const { value } = convolutions;
      return { convolutions: { query: value, key: value, value } };
    }),
  "steps without a bias": (d) =>
    mapKeyDeltas(d, ({ steps }) => ({ steps: { ...steps, bias: null } })),
  "decays without a floor": ({ config, tensors }) => {
    const { decayFloor: _, ...stateSpace } = config.stateSpace!;
    return { config: { ...config, stateSpace }, tensors };
  },
  "inputs kept by every layer": ({ config, tensors }) => {
    const hyper = config.hyper && { ...config.hyper, keepsEvery: 1 };
    return { config: { ...config, hyper }, tensors };
  },
  "blocks score alike": (d) =>
    mapLayers(d, (layer) => {
      const { hyper } = layer;
      return { ...layer, hyper: hyper && { ...hyper, attention: hyper.feedForward } };
    }),
  "the end scores as the first layer": ({ config, tensors }) => {
    const hyperEnd = tensors.layers[0].hyper?.attention;
    return { config, tensors: { ...tensors, hyperEnd } };
  },
  "gates and ups are not capped": ({ config, tensors }) => {
    const { softCaps: _, ...feedForward } = config.feedForward;
    return { config: { ...config, feedForward }, tensors };
  },
  "ups are not capped": ({ config, tensors }) => {
    const { softCaps, ...own } = config.feedForward;
    const feedForward = { ...own, softCaps: softCaps && { ...softCaps, up: 0 } };
    return { config: { ...config, feedForward }, tensors };
  },
  "latents' sums as they are": (d) =>
    mapLayers(d, (layer) => {
      const { feedForward: own } = layer;
      if (own?.kind !== "experts" || own.latent === undefined) return layer;
      return { ...layer, feedForward: { ...own, latent: { ...own.latent, norm: null } } };
    }),
  "latents' sums normalised": (d) =>
    mapLayers(d, (layer) => {
      const { feedForward: own } = layer;
      if (own?.kind !== "experts" || own.latent === undefined) return layer;
      const norm = { tensor: "output_norm.weight", start: 0, length: own.latent.down.rows };
      return { ...layer, feedForward: { ...own, latent: { ...own.latent, norm } } };
    }),
  "as many experts in all layers": ({ config, tensors }) => {
    const { usedCount } = config.experts!;
    const layers = config.layers.map((layer) => {
      const { shape } = layer, experts = shape?.experts && { ...shape.experts, usedCount };
      return shape === undefined ? layer : { ...layer, shape: { ...shape, experts } };
    });
    return { config: { ...config, layers }, tensors };
  },
  "gated by steps": (d) => mapKeyDeltas(d, ({ steps }) => ({ gate: { ...steps, bias: null } })),
  "lightning attention gated by queries": (d) =>
    mapLayers(d, (layer) => {
      const { lightning: own } = layer;
      if (own === undefined) return layer;
      const gate = { ...own.input, rows: own.gate.rows };
      return { ...layer, lightning: { ...own, gate } };
    }),
  "no lightning attention": (d) => mapLayers(d, (layer) => ({ ...layer, lightning: undefined })),
  "sums as they are": (d) => (
    { ...d, config: { ...d.config, normalizesSums: undefined } }
  ),
  "the stream counts once": (d) => ({ ...d, config: { ...d.config, residualScale: 1 } }),
  "neurons read another row": (d) =>
    mapLayers(d, (layer) => ({ ...layer, feedForwardShift: layer.neuronGate?.shift })),
} as const satisfies Readonly<Record<string, Mistake>>;

function mapTimeMix(
  d: ModelDescription,
  change: (mix: TimeMixTensors) => Partial<TimeMixTensors>,
): ModelDescription {
  return mapLayers(d, (layer) => {
    const { timeMix } = layer;
    return timeMix === undefined
      ? layer
      : { ...layer, timeMix: { ...timeMix, ...change(timeMix) } };
  });
}

function mapFinch(
  d: ModelDescription,
  change: (finch: FinchTensors) => Partial<FinchTensors>,
): ModelDescription {
  return mapLayers(d, (layer) => {
    const { finch } = layer;
    return finch === undefined ? layer : { ...layer, finch: { ...finch, ...change(finch) } };
  });
}

function mapKeyDeltas(
  d: ModelDescription,
  change: (deltas: KeyDeltaTensors) => Partial<KeyDeltaTensors>,
): ModelDescription {
  return mapLayers(d, (layer) => {
    const { keyDeltas } = layer;
    if (keyDeltas === undefined) return layer;
    return { ...layer, keyDeltas: { ...keyDeltas, ...change(keyDeltas) } };
  });
}

function mapStates(
  d: ModelDescription,
  change: (states: StateSpaceTensors) => Partial<StateSpaceTensors>,
): ModelDescription {
  return mapLayers(d, (layer) => {
    const { stateSpace } = layer;
    return { ...layer, stateSpace: stateSpace && { ...stateSpace, ...change(stateSpace) } };
  });
}
