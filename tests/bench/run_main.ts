/** The end of a measuring script, whatever happens in it. */
import { CommanderError } from "commander";
import { EXIT_INTERRUPTED, InterruptedError } from "../../src/cli/interrupt.ts";

/** Runs `main`; what it throws becomes a message and an exit code. */
export async function runMain(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    if (error instanceof InterruptedError) Deno.exitCode = EXIT_INTERRUPTED;
    else if (error instanceof CommanderError) Deno.exitCode = error.exitCode;
    else {
      console.error(error instanceof Error ? error.message : error);
      Deno.exitCode = 1;
    }
  }
}
