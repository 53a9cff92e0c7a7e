/** Who reads a packed file, and how: threads or the kernel, through the file cache or past it. */
import { canReadByKernel } from "../../workers/mod.ts";
import type { PackedModel } from "../bundle/types.ts";
import type { GgufFile } from "../gguf/types.ts";
import { usedBytes } from "../planner/mod.ts";
import type { RankPlan } from "../rank/plan/plan_types.ts";
import { readsPastFileCache } from "./file_cache.ts";
import type { LoadOptions } from "./load_options.ts";
import { memoryUse } from "./memory_use.ts";

/** Who reads instead of the kernel, where the file cache is used. */
const IO_WORKERS_THROUGH_CACHE = 4;

/**
 * The kernel reads for ranks that go on meanwhile; but what is not yet in the file cache it would
 * read while they wait. Who says how many threads are to read has them.
 */
export function readsByKernel(
  { path }: Pick<PackedModel, "path">,
  { ioWorkers, fileCache }: LoadOptions,
): boolean {
  return ioWorkers === undefined && fileCache !== "on" && canReadByKernel(path);
}

/**
 * Who reads, and whether past the file cache: known only once it is planned what stays on disk. A
 * model that the kernel was to read, and that turns out to be loaded through the cache, is loaded
 * by threads, if there is memory for them.
 */
export function readersOf(
  { packed, file }: { packed: PackedModel | null; file: GgufFile },
  ranks: readonly RankPlan[],
  { options: { besideBytes = 0, fileCache }, budgetBytes, ioWorkers, units }: {
    options: LoadOptions;
    budgetBytes: number;
    ioWorkers: number;
    units: number;
  },
): { ioWorkers: number; isDirect: boolean } {
  const threads = ioWorkers || IO_WORKERS_THROUGH_CACHE;
  const takenBytes = besideBytes + usedBytes(ranks, { units, ioWorkers: threads });
  const isDirect = readsPastFileCache(fileCache, {
    isResident: memoryUse(ranks).diskBytes === 0 && (ioWorkers > 0 || takenBytes <= budgetBytes),
    fileBytes: packed?.stamp.sizeBytes ?? file.parts.reduce((sum, part) => sum + part.sizeBytes, 0),
    takenBytes,
  });
  return { ioWorkers: isDirect ? ioWorkers : threads, isDirect };
}
