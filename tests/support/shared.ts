/**
 * The developers' folder of real models, vocabularies and golden logits, beside the checkout. A
 * fresh clone does not have it: tests that use it skip there, and say so.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const SHARED = fileURLToPath(new URL("../../../shared/", import.meta.url));

/** Absolute path of a file in the shared folder, whether it exists or not. */
export function sharedPath(relative: string): string {
  return SHARED + relative;
}

/** True when the shared file or folder is there. */
export function hasShared(relative: string): boolean {
  return existsSync(sharedPath(relative));
}

/**
 * A test that needs a file of the shared folder. Without it the test is ignored, and its name says
 * which file it misses.
 */
export function sharedTest(relative: string, name: string, run: () => void | Promise<void>): void {
  const ignore = !hasShared(relative);
  Deno.test({ name: ignore ? `${name} [skipped: no shared/${relative}]` : name, ignore, fn: run });
}
