/** How much of a machine is measured in tests: as many parts, each a tenth, by fewer threads. */
import { MiB } from "../../src/base/units.ts";
import type { ReadAmounts } from "../../src/cli/verbs/doctor.ts";

export const LITTLE = {
  memoryBytes: 16 * MiB,
  disk: { phaseMs: 10, fileBytes: 4 * MiB, workers: [1, 2, 3, 4] },
} satisfies ReadAmounts;
