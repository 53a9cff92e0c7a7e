/**
 * What a GPU has of experts and of a packed model's blocks: experts as wholes, or of each block
 * whole clusters of each stripe, the same in steps of any length. Threads own stripes as ever, and
 * leave out what is the GPU's. Pure arithmetic.
 */
import type { ModelConfig } from "../../model/types.ts";
import { clustersOnGpu, type SharedNeurons } from "./hot_neurons.ts";
import type { ColumnBlocks, OnGpu, Range, Shard } from "./shard.ts";

const NOTHING: Range = { start: 0, end: 0 };
export const NONE_ON_GPU: OnGpu = { gpuOfStripe: 0, neuronsOnGpu: 0 };

interface StripeParts {
  /** What a thread has that has these neurons without a GPU. */
  readonly cpu: (neurons: Range) => OnGpu & { readonly neurons: Range };
  readonly gpu: OnGpu & { readonly neurons: Range };
}

function inStripes(
  total: number,
  { stripe, gpuOfStripe }: { stripe: number; gpuOfStripe: number },
): StripeParts {
  const isAll = gpuOfStripe === stripe;
  return {
    cpu: (neurons) => ({
      gpuOfStripe,
      neurons: isAll ? NOTHING : neurons,
      neuronsOnGpu: isAll ? 0 : (neurons.end - neurons.start) / stripe * gpuOfStripe,
    }),
    gpu: {
      gpuOfStripe,
      neurons: { start: 0, end: total / stripe * gpuOfStripe },
      neuronsOnGpu: 0,
    },
  };
}

type ExpertShare = Pick<
  Shard,
  "expertNeurons" | "expertsOnGpu" | "sharedNeurons" | "sharedOnGpu" | "addsExpertBiases"
>;

/** What differs from a shard without a GPU. */
interface SharedExperts {
  readonly cpu: (shard: Shard) => Partial<ExpertShare>;
  readonly gpu: ExpertShare;
}

const NO_EXPERTS: ExpertShare = {
  ...{ expertNeurons: [NOTHING], expertsOnGpu: [NONE_ON_GPU] },
  ...{ sharedNeurons: NOTHING, sharedOnGpu: NONE_ON_GPU, addsExpertBiases: false },
};

/** Experts are whole on one side or the other. */
export function wholeExperts({ experts }: ModelConfig, areGpus: boolean): SharedExperts {
  if (!areGpus || experts === null) return { cpu: () => ({}), gpu: NO_EXPERTS };
  const { feedForwardLength, sharedFeedForwardLength } = experts;
  return {
    cpu: () => NO_EXPERTS,
    gpu: {
      ...NO_EXPERTS,
      expertNeurons: [{ start: 0, end: feedForwardLength }],
      sharedNeurons: { start: 0, end: sharedFeedForwardLength },
      addsExpertBiases: true,
    },
  };
}

/** Of a packed model: of each expert the same clusters. */
export function expertsInStripes(
  { experts }: ModelConfig,
  { stripes, share }: { stripes: NonNullable<ColumnBlocks["stripes"]>; share: number },
): SharedExperts {
  if (experts === null) return { cpu: () => ({}), gpu: NO_EXPERTS };
  const { expert, shared } = stripes;
  const { feedForwardLength, sharedFeedForwardLength } = experts;
  const each = inStripes(feedForwardLength, {
    stripe: expert,
    gpuOfStripe: clustersOnGpu(share, expert),
  });
  const all = inStripes(sharedFeedForwardLength, {
    stripe: shared,
    gpuOfStripe: clustersOnGpu(share, shared, expert),
  });
  return {
    cpu: ({ expertNeurons, sharedNeurons }) => ({
      expertNeurons: expertNeurons.map((own) => each.cpu(own).neurons),
      expertsOnGpu: expertNeurons.map(each.cpu),
      sharedNeurons: all.cpu(sharedNeurons).neurons,
      sharedOnGpu: all.cpu(sharedNeurons),
    }),
    gpu: {
      ...NO_EXPERTS,
      ...{ expertNeurons: [each.gpu.neurons], expertsOnGpu: [each.gpu] },
      ...{ sharedNeurons: all.gpu.neurons, sharedOnGpu: all.gpu },
    },
  };
}

/** Of a packed model's dense block. */
export function denseInStripes(
  total: number,
  { stripe, share }: { stripe: number; share: number },
): SharedNeurons {
  const parts = inStripes(total, { stripe, gpuOfStripe: clustersOnGpu(share, stripe) });
  return {
    cpu: (_, { neurons }) => ({ steppedNeurons: [], ...parts.cpu(neurons) }),
    gpu: { steppedNeurons: [], ...parts.gpu },
  };
}
