/** Entry of the command line: `deno task ganglion <verb> …`. */
import { runCli } from "./program.ts";

Deno.exit(await runCli(Deno.args));
