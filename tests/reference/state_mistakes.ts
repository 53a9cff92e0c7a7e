/** What a description with state spaces would be if one choice were read otherwise. */
import type { ModelDescription, StateSpaceTensors } from "../../src/model/mod.ts";
import { mapLayers } from "./changed_description.ts";

type Mistake = (description: ModelDescription) => ModelDescription;

/** Mistakes about state spaces. */
export const STATE_MISTAKES = {
  "convolved without a bias": (d) => mapStates(d, () => ({ convolutionBias: null })),
  "what gates convolved": (d) =>
    mapStates(d, ({ gateRow, convolvedRow }) => ({ gateRow: convolvedRow, convolvedRow: gateRow })),
  "steps go around states": (d) => mapStates(d, ({ stepBias }) => ({ skip: stepBias })),
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
} as const satisfies Readonly<Record<string, Mistake>>;

function mapStates(
  d: ModelDescription,
  change: (states: StateSpaceTensors) => Partial<StateSpaceTensors>,
): ModelDescription {
  return mapLayers(d, (layer) => {
    const { stateSpace } = layer;
    return { ...layer, stateSpace: stateSpace && { ...stateSpace, ...change(stateSpace) } };
  });
}
