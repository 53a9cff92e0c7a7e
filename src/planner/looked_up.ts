/**
 * What of a token's time is not reading: rows whose weights are looked up in codebooks, or written
 * out of them (src/rank/plan/weight_types.ts), of a model that is in memory as a whole.
 */
import { writtenOutType } from "../model/dtypes.ts";
import { packedRowBytes, type WeightType } from "../rank/plan/weight_types.ts";
import { DENSE_SHARE_OF_READ, LOOKED_UP_BYTES_PER_S } from "./calibration.ts";
import { readGBps } from "./machine_profile.ts";
import type { ExpectedDecode, PlanInput } from "./plan_types.ts";

/**
 * `expected`, which counts the file's bytes and the time of reading them, with what else it takes.
 * It is shared out as reading is: models of such types are of them nearly everywhere.
 */
export function withLookUps(input: PlanInput, expected: ExpectedDecode): ExpectedDecode {
  const { bytes, written } = bytesOfToken(input);
  if (bytes === 0) return expected;
  const { profile, threads, writesOut } = input;
  const read = readGBps(profile, threads) * 1e9 * DENSE_SHARE_OF_READ;
  const more = writesOut
    ? (written - bytes) / read
    : Math.max(0, bytes / (threads * LOOKED_UP_BYTES_PER_S) - bytes / read);
  const { parts } = expected;
  const reading = parts.fixed + parts.gates + parts.neurons;
  const times = 1 + more * 1000 / reading;
  return {
    ...expected,
    tokensPerSecond: 1 / (1 / expected.tokensPerSecond + more),
    memoryBytes: expected.memoryBytes + (writesOut ? written - bytes : 0),
    parts: {
      ...parts,
      ...{ fixed: parts.fixed * times, gates: parts.gates * times, neurons: parts.neurons * times },
    },
    bottleneck: !writesOut && more > 0 ? "look-ups" : expected.bottleneck,
  };
}

/** Bytes of these types that a token reads, in the file, and as rows are written out. */
function bytesOfToken(
  { model: { config, tensors: { tokenEmbedding } }, tensors }: PlanInput,
): { readonly bytes: number; readonly written: number } {
  const { experts, tiedEmbeddings } = config;
  let bytes = 0;
  let written = 0;
  for (const { name, type, dims, sizeBytes } of tensors.values()) {
    const kept = writtenOutType(type);
    const isTable = name === tokenEmbedding.tensor && !tiedEmbeddings;
    if (kept === undefined || isTable) continue;
    const [columns, rows, matrices = 1] = dims;
    const share = experts !== null && matrices === experts.count
      ? experts.usedCount / experts.count
      : 1;
    bytes += share * sizeBytes;
    written += share * rows * matrices * packedRowBytes(kept as WeightType, columns);
  }
  return { bytes, written };
}
