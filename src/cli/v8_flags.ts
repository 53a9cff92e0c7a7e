/**
 * The V8 flags in force. A process cannot ask V8; the tasks of deno.json give the flags through
 * DENO_V8_FLAGS, where they can be read and are inherited by child processes.
 */

/** Half of the engine's speed: see "V8 flags" in ARCHITECTURE.md. */
export const SPEED_FLAGS: readonly string[] = [
  "--no-wasm-bounds-checks",
  "--experimental-wasm-revectorize",
];

/**
 * What a thread's young objects lie in. V8 lets it grow to 64 MiB a thread under load and seldom
 * gives it back, which looks like a leak: see "V8 flags" in ARCHITECTURE.md.
 */
export const MEMORY_FLAGS: readonly string[] = ["--max-semi-space-size=8"];

/** V8 flags of this process as far as they can be known. */
export function v8Flags(): string[] {
  const given = (Deno.env.get("DENO_V8_FLAGS") ?? "").split(/[\s,]+/).filter((flag) => flag !== "");
  // `deno task compile` bakes them in.
  return Deno.build.standalone ? [...SPEED_FLAGS, ...MEMORY_FLAGS, ...given] : given;
}
