/** Tensor names of what mixes residual streams. Knows names and shapes; reads no weights. */
import type { LayerReader } from "./layer_reader.ts";
import type { TensorChecker } from "./tensor_checker.ts";
import { sharesOf } from "../compressed_types.ts";
import type { HyperTensors, LayerTensors, ModelConfig, ModelTensors } from "../types.ts";

/** Of a layer; nothing where there is one stream. */
export function layerHyperTensors(
  { checker, config, at }: LayerReader,
): Pick<LayerTensors, "hyper"> {
  if (config.hyper === undefined) return {};
  const { keepsEvery, rounds } = config.hyper;
  if (keepsEvery !== undefined) {
    const scored = (name: string) => scoreTensors(checker, `${at}${name}`, config);
    return { hyper: { attention: scored("attn_res_score"), feedForward: scored("ffn_res_score") } };
  }
  // Shares of what is read, of where it goes, and of what goes from stream to stream.
  const kinds = rounds === 0 ? 2 : 3;
  const rows = sharesOf(config.hyper);
  const of = (name: string) => hyperTensors(checker, `${at}${name}`, { config, rows, kinds });
  return { hyper: { attention: of("hc_attn"), feedForward: of("hc_ffn") } };
}

/** Of the model's end. */
export function hyperEnd(
  checker: TensorChecker,
  config: ModelConfig,
): Pick<ModelTensors, "hyperEnd"> {
  if (config.hyper === undefined) return {};
  if (config.hyper.keepsEvery !== undefined) {
    return { hyperEnd: scoreTensors(checker, "output_res_score", config) };
  }
  const of = { config, rows: config.hyper.streamCount, kinds: 1 };
  return { hyperEnd: hyperTensors(checker, "output_hc", of) };
}

/** What scores streams that are kept. */
function scoreTensors(
  checker: TensorChecker,
  name: string,
  { embeddingLength: columns }: ModelConfig,
): HyperTensors {
  const mixer = checker.matrix(`${name}.weight`, { rows: 1, columns });
  return { mixer, base: null, scale: null };
}

function hyperTensors(
  checker: TensorChecker,
  name: string,
  { config, rows, kinds }: {
    readonly config: ModelConfig;
    readonly rows: number;
    readonly kinds: number;
  },
): HyperTensors {
  const columns = config.hyper!.streamCount * config.embeddingLength;
  return {
    mixer: checker.matrix(`${name}_fn.weight`, { rows, columns }),
    base: checker.vector(`${name}_base.weight`, rows),
    scale: checker.vector(`${name}_scale.weight`, kinds),
  };
}
