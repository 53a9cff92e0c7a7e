/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * Kernels that fail when they are told to: imported before anything that makes some, in a thread of
 * its own. How a thread that hangs, or traps, looks to the others.
 */

/** What the next kernel does; null: its work. */
let fault: (() => void) | null = null;

/** Arms the next call of any kernel. */
export function arm(next: () => void): void {
  fault = next;
}

const Real = WebAssembly.Instance;

/** An instance whose functions look for the fault first. */
class FaultyInstance {
  readonly exports: WebAssembly.Exports;

  constructor(module: WebAssembly.Module, imports: WebAssembly.Imports) {
    const { exports } = new Real(module, imports);
    this.exports = Object.fromEntries(
      Object.entries(exports).map(([name, value]) => [
        name,
        typeof value !== "function" ? value : (...args: unknown[]) => {
          const due = fault;
          fault = null;
          due?.();
          return value(...args);
        },
      ]),
    );
  }
}

WebAssembly.Instance = FaultyInstance as typeof WebAssembly.Instance;
