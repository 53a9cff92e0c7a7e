/** The profile of this machine, as the last `doctor` left it. */
import { DEFAULT_PROFILE, machineId, type MachineProfile } from "../planner/mod.ts";
import { profilePath, readProfile } from "../planner/mod.ts";
import { getEnv } from "./settings.ts";
import { SPEED_FLAGS, v8Flags } from "./v8_flags.ts";

/** This machine, run with the flags in force: what profiles are kept by. */
export function thisMachine(): string {
  const inForce = v8Flags();
  return machineId({
    cores: navigator.hardwareConcurrency,
    memoryBytes: Deno.systemMemoryInfo().total,
    flags: SPEED_FLAGS.filter((flag) => inForce.includes(flag)),
  });
}

/** Where the profile is kept; null: there is no place. */
export function machineProfilePath(): string | null {
  return profilePath(getEnv);
}

/** What was measured here, or the built-in numbers of another machine. */
export function machineProfile(): MachineProfile {
  const path = machineProfilePath();
  return (path === null ? null : readProfile(path, thisMachine())) ?? DEFAULT_PROFILE;
}
