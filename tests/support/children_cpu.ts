/**
 * How long processes computed that this one began and that have ended, with all that these began.
 * Linux counts it; Deno shows a file of /proc to nobody without all permissions, `sh` does.
 */

/** Linux counts in hundredths of a second, whatever the machine. */
const TICKS_PER_S = 100;
/** Behind the name, which may have any characters: of children, in user code and in the kernel. */
const CUTIME = 13, CSTIME = 14;

/** Seconds; null where nobody counts. */
export async function childrenCpuS(): Promise<number | null> {
  if (Deno.build.os !== "linux") return null;
  const args = ["-c", "cat /proc/$PPID/stat"];
  const { stdout } = await new Deno.Command("sh", { args, stderr: "null" }).output();
  return readChildrenCpuS(new TextDecoder().decode(stdout));
}

/** The same of what the kernel says of a process. */
export function readChildrenCpuS(stat: string): number | null {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[CUTIME]) + Number(fields[CSTIME]);
  return Number.isFinite(ticks) ? ticks / TICKS_PER_S : null;
}
