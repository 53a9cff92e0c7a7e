/** What `doctor` measured, kept for `plan` and for models that are larger than memory. */
import {
  DEFAULT_PROFILE,
  type MachineProfile,
  PROFILE_VERSION,
  writeProfile,
} from "../../planner/mod.ts";
import { machineProfilePath, thisMachine } from "../machine.ts";
import { writeErrorLine } from "../output.ts";
import type { DiskSpeed } from "./speeds.ts";

export interface Measured {
  /** By number of threads. */
  readonly readGBps: readonly number[];
  readonly disk: DiskSpeed;
}

/** Writes the profile of this machine. @returns where; null: there is no place for it */
export function keepProfile(measured: Measured): string | null {
  const path = machineProfilePath();
  if (path === null) return null;
  try {
    writeProfile(path, profileOf(measured));
    return path;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    writeErrorLine(`cannot keep what was measured in "${path}": ${reason}`);
    return null;
  }
}

function profileOf({ readGBps, disk }: Measured): MachineProfile {
  return {
    version: PROFILE_VERSION,
    machine: thisMachine(),
    measuredAt: new Date().toISOString(),
    cores: navigator.hardwareConcurrency,
    readGBps: [...readGBps],
    disk: {
      folder: disk.folder,
      direct: disk.direct,
      sequentialBytesPerS: disk.sequential_read_gbps * 1e9,
      random: likeThis(disk.random_reads_per_second),
    },
  };
}

/** The built-in machine's reads by several threads, as much faster as one thread is here. */
function likeThis(readsPerS: number): MachineProfile["disk"]["random"] {
  const { random } = DEFAULT_PROFILE.disk;
  const [least] = random;
  const factor = readsPerS / (least.readsPerS / least.workers);
  return random.map((each) => ({ ...each, readsPerS: each.readsPerS * factor }));
}
