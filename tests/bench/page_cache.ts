/**
 * Files out of the page cache. What lies there already was charged to whoever read it first: a
 * limited process would use it for nothing, and a disk would not be measured.
 */
import { formatBytes } from "../../src/base/units.ts";

/** Pages that readahead brings back while we look. */
const RESIDENT_BYTES_MAX = 1 << 20;

/**
 * Writes files back and drops their pages.
 * @throws when pages stay, because another process holds them.
 */
export async function evict(paths: readonly string[]): Promise<void> {
  if (paths.length === 0) return;
  await runTool("sync", paths); // pages that are not written yet cannot be dropped
  for (const path of paths) {
    await runTool("dd", [`if=${path}`, "iflag=nocache", "count=0", "status=none"]);
  }
  for (const path of paths) {
    const bytes = Number(await runTool("fincore", ["-b", "-n", "-o", "RES", path]));
    if (bytes <= RESIDENT_BYTES_MAX) continue;
    throw new Error(
      `Cannot drop "${path}" from the page cache: ${formatBytes(bytes)} of it stay: end the ` +
        "process that has it mapped",
    );
  }
}

/** The whole machine's clean pages; others will have to read theirs again. */
export async function dropAllCaches(): Promise<void> {
  await runTool("sync", []);
  await Deno.writeTextFile("/proc/sys/vm/drop_caches", "1", { create: false });
}

async function runTool(program: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  if (success) return new TextDecoder().decode(stdout);
  throw new Error(`"${program}" failed: ${new TextDecoder().decode(stderr).trim()}`);
}
