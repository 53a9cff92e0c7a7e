/** What measures a machine, with a tenth of what it takes: as many parts, of fewer threads. */
import { MiB } from "../../src/base/units.ts";
import { MEMORY_AMOUNT } from "../../src/cli/doctor/speeds.ts";
import { DISK_AMOUNTS } from "../../workers/measure_disk.ts";

/** What `measure` gives by few reads of a small file, and of little memory. */
export async function measureLittle<T>(measure: () => Promise<T>): Promise<T> {
  const [disk, memory] = [{ ...DISK_AMOUNTS }, { ...MEMORY_AMOUNT }];
  Object.assign(DISK_AMOUNTS, { phaseMs: 10, fileBytes: 4 * MiB, workers: [1, 2, 3, 4] });
  Object.assign(MEMORY_AMOUNT, { bytes: 16 * MiB });
  try {
    return await measure();
  } finally {
    Object.assign(DISK_AMOUNTS, disk);
    Object.assign(MEMORY_AMOUNT, memory);
  }
}
