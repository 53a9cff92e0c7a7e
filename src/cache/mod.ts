/** Which neurons of a packed model are in memory, and who leaves. */
export {
  ABSENT,
  type CacheCounters,
  CLUSTER_SLOTS,
  GATE_ONLY,
  LOADING,
  NeuronCache,
  type NeuronCacheOptions,
  NO_SLOT,
  PRESENT,
} from "./neuron_cache.ts";
