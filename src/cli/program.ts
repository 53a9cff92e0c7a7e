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
import { applySettings } from "./settings.ts";
import { benchVerb } from "./verbs/bench.ts";
import { completionsVerb } from "./verbs/completions.ts";
import { detokenizeVerb } from "./verbs/detokenize.ts";
import { doctorVerb } from "./verbs/doctor.ts";
import { listVerb } from "./verbs/list.ts";
import { logitsVerb } from "./verbs/logits.ts";
import { packVerb } from "./verbs/pack.ts";
import { perplexityVerb } from "./verbs/perplexity.ts";
import { planVerb } from "./verbs/plan.ts";
import { profileVerb } from "./verbs/profile.ts";
import { psVerb } from "./verbs/ps.ts";
import { pullVerb } from "./verbs/pull.ts";
import { quantizeVerb } from "./verbs/quantize.ts";
import { rmVerb } from "./verbs/rm.ts";
import { runVerb } from "./verbs/run.ts";
import { serveVerb } from "./verbs/serve.ts";
import { showVerb } from "./verbs/show.ts";
import { stopVerb } from "./verbs/stop.ts";
import { synthVerb } from "./verbs/synth.ts";
import { tokenizeVerb } from "./verbs/tokenize.ts";
import { trainVerb } from "./verbs/train.ts";
import { verifyVerb } from "./verbs/verify.ts";

/** Exit statuses. */
const EXIT_OK = 0;
const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/**
 * Runs one command line, program name left out. Prints; throws nothing.
 * @returns the exit status.
 */
export async function runCli(args: readonly string[]): Promise<number> {
  const program = createProgram();
  try {
    await program.parseAsync([...args], { from: "user" });
    return EXIT_OK;
  } catch (error) {
    return report(error, program, args);
  }
}

function createProgram(): Command {
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
    .hook("preAction", (_program, verb) => {
      applySettings(verb);
      refuseEmptyNames(verb);
    });
  for (
    const verb of [
      serveVerb(),
      runVerb(),
      pullVerb(),
      listVerb(),
      showVerb(),
      rmVerb(),
      psVerb(),
      stopVerb(),
      benchVerb(),
      logitsVerb(),
      tokenizeVerb(),
      detokenizeVerb(),
      perplexityVerb(),
      profileVerb(),
      verifyVerb(),
      quantizeVerb(),
      packVerb(),
      planVerb(),
      trainVerb(),
      synthVerb(),
      doctorVerb(),
      completionsVerb(),
    ]
  ) {
    program.addCommand(verb.copyInheritedSettings(program));
  }
  return program;
}

const HELP_AFTER = `
A MODEL is the path of a .gguf file, the name of a pulled model, or what it was pulled as. Left out,
it is the model built-in, which knows about Ganglion: ganglion run "How do I start the server?"

Every flag has a twin in the environment, GANGLION_<FLAG> (--ctx-size: GANGLION_CTX_SIZE), and may
stand in the config file, $XDG_CONFIG_HOME/ganglion/config.json or the one named by --config.
A flag beats the environment, which beats the config file, which beats the default.

Exit status: 0 done, 1 failed, 2 wrong usage.`;

/** Tells what went wrong; returns the exit status for it. */
function report(error: unknown, program: Command, [word]: readonly string[]): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT_OK; // --help, --version
    const names = program.commands.map((each) => each.name());
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
