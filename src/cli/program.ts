/**
 * The command line as a whole: its verbs, and how what goes wrong becomes a message and an exit
 * status. Knows nothing of what the verbs do.
 */
import { Command, CommanderError } from "commander";
import project from "../../deno.json" with { type: "json" };
import {
  ModelFormatError,
  RequestError,
  UnsupportedModelError,
  UsageError,
  WorkerError,
} from "../base/errors.ts";
import { EXIT_INTERRUPTED, InterruptedError } from "./interrupt.ts";
import { BrokenPipeError, writeErrorLine, writeOut } from "./output.ts";
import { refuseEmptyNames } from "./empty_names.ts";
import { applySettings, checkNames } from "./settings.ts";

/**
 * How each verb is made, in the order of the help. A verb brings all that it computes with along:
 * who asks for one of them does not wait until the others are read.
 */
const VERBS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import("./verbs/serve.ts")).serveVerb(),
  run: async () => (await import("./verbs/run.ts")).runVerb(),
  pull: async () => (await import("./verbs/pull.ts")).pullVerb(),
  list: async () => (await import("./verbs/list.ts")).listVerb(),
  show: async () => (await import("./verbs/show.ts")).showVerb(),
  rm: async () => (await import("./verbs/rm.ts")).rmVerb(),
  ps: async () => (await import("./verbs/ps.ts")).psVerb(),
  stop: async () => (await import("./verbs/stop.ts")).stopVerb(),
  bench: async () => (await import("./verbs/bench.ts")).benchVerb(),
  logits: async () => (await import("./verbs/logits.ts")).logitsVerb(),
  tokenize: async () => (await import("./verbs/tokenize.ts")).tokenizeVerb(),
  detokenize: async () => (await import("./verbs/detokenize.ts")).detokenizeVerb(),
  perplexity: async () => (await import("./verbs/perplexity.ts")).perplexityVerb(),
  profile: async () => (await import("./verbs/profile.ts")).profileVerb(),
  verify: async () => (await import("./verbs/verify.ts")).verifyVerb(),
  imatrix: async () => (await import("./verbs/imatrix.ts")).imatrixVerb(),
  quantize: async () => (await import("./verbs/quantize.ts")).quantizeVerb(),
  pack: async () => (await import("./verbs/pack.ts")).packVerb(),
  plan: async () => (await import("./verbs/plan.ts")).planVerb(),
  train: async () => (await import("./verbs/train.ts")).trainVerb(),
  synth: async () => (await import("./verbs/synth.ts")).synthVerb(),
  doctor: async () => (await import("./verbs/doctor.ts")).doctorVerb(),
  completions: async () => (await import("./verbs/completions.ts")).completionsVerb(),
};

/** Exit statuses. */
const EXIT_OK = 0;
const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/**
 * Runs one command line, program name left out. Prints; throws nothing.
 * @returns the exit status.
 */
export async function runCli(args: readonly string[]): Promise<number> {
  const program = await createProgram(args);
  try {
    await program.parseAsync([...args], { from: "user" });
    return EXIT_OK;
  } catch (error) {
    return report(error, args);
  }
}

async function createProgram(args: readonly string[]): Promise<Command> {
  const program = new Command("ganglion")
    .description("Runs large language models in Deno: no native code, no dependencies to install.")
    .version(project.version, "--version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [verb]", "print the help of a verb")
    .addHelpText("after", HELP_AFTER)
    // A verb's arguments are its own: `tokenize MODEL --text --version` is a text.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeOut, writeErr: (text) => writeErrorLine(text.trimEnd()) })
    .hook("preAction", async (_program, verb) => {
      const others = applySettings(verb).filter((name) => !Object.hasOwn(VERBS, name));
      // All verbs are read where the file has what is not this one's, and only there.
      if (others.length > 0) checkNames(others, await allVerbs());
      refuseEmptyNames(verb);
    });
  for (const name of verbsFor(args)) {
    program.addCommand((await VERBS[name]()).copyInheritedSettings(program));
  }
  return program;
}

function allVerbs(): Promise<Command[]> {
  return Promise.all(Object.values(VERBS).map((make) => make()));
}

/** Verbs that a command line needs: one that is named, or all, of which help tells. */
function verbsFor([word]: readonly string[]): readonly string[] {
  if (word === "--version") return [];
  // Completions are of all verbs.
  const isAlone = word !== undefined && Object.hasOwn(VERBS, word) && word !== "completions";
  return isAlone ? [word] : Object.keys(VERBS);
}

const HELP_AFTER = `
A MODEL is the path of a .gguf file, the name of a pulled model, or what it was pulled as. Left out,
it is the model built-in, which knows about Ganglion: ganglion run "How do I start the server?"

Every flag has a twin in the environment, GANGLION_<FLAG> (--ctx-size: GANGLION_CTX_SIZE), and may
stand in the config file, $XDG_CONFIG_HOME/ganglion/config.json or the one named by --config.
A flag beats the environment, which beats the config file, which beats the default.

Exit status: 0 done, 1 failed, 2 wrong usage.`;

/** Tells what went wrong; returns the exit status for it. */
function report(error: unknown, [word]: readonly string[]): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT_OK; // --help, --version
    const names = Object.keys(VERBS);
    if (error.code === "commander.unknownCommand") {
      writeErrorLine(`The verbs are: ${names.join(", ")}`);
    } else if (error.code === "commander.excessArguments" && word === "run") {
      writeErrorLine(`A prompt of several words is one argument: ganglion run MODEL "two words"`);
    } else if (error.code !== "commander.help") {
      writeErrorLine(`See ganglion ${names.includes(word) ? `${word} ` : ""}--help`);
    }
    return EXIT_USAGE; // commander has printed the message
  }
  if (error instanceof BrokenPipeError) return EXIT_OK; // `… | head` has seen enough
  if (error instanceof InterruptedError) return EXIT_INTERRUPTED;
  writeErrorLine(`error: ${describeError(error)}`);
  return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILURE;
}

/** A message for what is the user's or the machine's fault, the whole stack for a bug. */
function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof WorkerError && error.cause !== undefined) return describeError(error.cause);
  return isExpected(error) ? error.message : error.stack ?? error.message;
}

/** Errors of the house begin with "Cannot"; the system's have classes of their own. */
function isExpected(error: Error): boolean {
  return error instanceof UsageError || error instanceof ModelFormatError ||
    error instanceof UnsupportedModelError || error instanceof RequestError ||
    error.message.startsWith("Cannot ") ||
    Object.values(Deno.errors).some((kind) => error instanceof kind);
}
