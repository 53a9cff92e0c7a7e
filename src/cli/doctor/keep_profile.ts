/** What `doctor` measured, kept for `plan` and for models that are larger than memory. */
import type { DiskProfile } from "../../../workers/mod.ts";
import { messageOf } from "../../base/errors.ts";
import {
  type GpuProfile,
  type MachineProfile,
  PROFILE_VERSION,
  writeProfile,
} from "../../planner/mod.ts";
import { machineProfilePath, thisMachine } from "../machine.ts";
import { writeErrorLine } from "../output.ts";

export interface Measured {
  /** By number of threads. */
  readonly readGBps: readonly number[];
  readonly disk: DiskProfile;
  /** Where the disk was measured. */
  readonly folder: string;
  /** Null: there is none that is worth it. */
  readonly gpu: GpuProfile | null;
}

/** Writes the profile of this machine. @returns where; null: there is no place for it */
export function keepProfile(measured: Measured): string | null {
  const path = machineProfilePath();
  if (path === null) return null;
  try {
    writeProfile(path, profileOf(measured));
    return path;
  } catch (error) {
    const reason = messageOf(error);
    writeErrorLine(`cannot keep what was measured in "${path}": ${reason}`);
    return null;
  }
}

function profileOf({ readGBps, disk, folder, gpu }: Measured): MachineProfile {
  return {
    version: PROFILE_VERSION,
    machine: thisMachine(),
    measuredAt: new Date().toISOString(),
    cores: navigator.hardwareConcurrency,
    readGBps: [...readGBps],
    disk: { ...disk, folder, random: [...disk.random] },
    ...gpu === null ? {} : { gpu },
  };
}
