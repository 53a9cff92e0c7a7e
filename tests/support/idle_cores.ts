/**
 * How many cores had nothing to do, of all processes of the machine. Linux counts it; Deno shows a
 * file of /proc to nobody without all permissions, `head` does.
 */

/** Linux counts in hundredths of a second, whatever the machine. */
const TICKS_PER_S = 100;
/** Behind the name: that nothing was done, and that it was not for something was read. */
const IDLE = 3, IOWAIT = 4;

/** Seconds in which cores had nothing to do, of all cores since they began; null: nobody counts. */
export async function idleCoresS(): Promise<number | null> {
  if (Deno.build.os !== "linux") return null;
  const args = ["-n", "1", "/proc/stat"];
  const { stdout } = await new Deno.Command("head", { args, stderr: "null" }).output();
  return readIdleCoresS(new TextDecoder().decode(stdout));
}

/** The same of what the kernel says of all cores. */
export function readIdleCoresS(stat: string): number | null {
  const ticks = stat.trim().split(/\s+/).slice(1).map(Number);
  const idle = ticks[IDLE] + ticks[IOWAIT];
  return Number.isFinite(idle) ? idle / TICKS_PER_S : null;
}
