/** `completions SHELL`: prints what makes a shell complete verbs, flags and names of models. */
import { Argument, type Command } from "commander";
import { describeProgram } from "../completions/describe_program.ts";
import { completionScript, type Shell, SHELLS } from "../completions/shells.ts";
import { writeOut } from "../output.ts";
import { createVerb } from "../verb.ts";

export function completionsVerb(): Command {
  return createVerb("completions", "Print what makes a shell complete this command line.")
    .addArgument(new Argument("<shell>", "which one").choices([...SHELLS]))
    .option("--command <name>", "what the program is called by", "ganglion")
    .addHelpText("after", `\nFor bash, in ~/.bashrc: eval "$(ganglion completions bash)"`)
    .action((shell: Shell, { command }: { command: string }, verb: Command) => {
      if (!/^[a-z][\w-]*$/i.test(command)) {
        verb.error(`error: --command is no name of a program: ${JSON.stringify(command)}`);
      }
      const program = verb.parent;
      if (program === null) throw new Error("Check failed: completions is a verb of no program");
      writeOut(completionScript(shell, describeProgram(program), command));
    });
}
