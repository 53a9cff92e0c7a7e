/** The command line as data: what completions are made of. Knows no shell. */
import type { Command } from "commander";
import { takesPath } from "../empty_names.ts";

export interface FlagFacts {
  /** With its dashes. */
  readonly name: string;
  readonly summary: string;
  readonly takesValue: boolean;
  /** The value is a place in the file system. */
  readonly takesPath: boolean;
  /** Empty: any value. */
  readonly choices: readonly string[];
}

export interface VerbFacts {
  readonly names: readonly string[];
  readonly summary: string;
  readonly flags: readonly FlagFacts[];
  /** An argument is a model. */
  readonly takesModel: boolean;
  /** What its first argument may be; empty: anything. */
  readonly choices: readonly string[];
}

/** Every verb of a program, in order. */
export function describeProgram(program: Command): VerbFacts[] {
  return program.commands.map((verb) => ({
    names: [verb.name(), ...verb.aliases()],
    summary: verb.description(),
    takesModel: verb.registeredArguments.some((argument) => /^models?$/.test(argument.name())),
    choices: verb.registeredArguments[0]?.argChoices ?? [],
    flags: [...verb.options, ...verb.createHelp().visibleOptions(verb)]
      .filter((option, i, all) => all.findIndex(({ long }) => long === option.long) === i)
      .filter(({ long, hidden }) => long !== undefined && long !== null && !hidden)
      .map(({ long, flags, description, required, optional, argChoices }) => ({
        name: long as string,
        summary: description,
        takesValue: required || optional,
        takesPath: takesPath(flags),
        choices: argChoices ?? [],
      })),
  }));
}
