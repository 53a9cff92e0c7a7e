/** What makes bash, zsh and fish complete a command line. Pure: facts in, a script out. */
import type { FlagFacts, VerbFacts } from "./describe_program.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = typeof SHELLS[number];

/** The script; `name` is what the program is called by. */
export function completionScript(shell: Shell, verbs: readonly VerbFacts[], name: string): string {
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](verbs, name);
}

/**
 * Prints the names of pulled models; none with characters that mean something to a shell: bash
 * expands the words that it is offered.
 */
const MODEL_NAMES = `ls "\${GANGLION_MODELS_DIR:-\${XDG_DATA_HOME:-$HOME/.local/share}/` +
  `ganglion/models}" 2>/dev/null | sed -nE 's/(-00001-of-[0-9]{5})?\\.(gguf|ganglion)$//p' | ` +
  `grep -E '^[A-Za-z0-9._+-]+$' | grep -vE -e '-[0-9]{5}-of-[0-9]{5}$'`;

function bashScript(verbs: readonly VerbFacts[], name: string): string {
  const flagNames = (flags: readonly FlagFacts[]) => flags.map((flag) => flag.name).join(" ");
  const cases = verbs.map(({ names, flags, takesModel, choices }) => {
    const models = takesModel ? ` $(_${name}_models)` : "";
    const values = flags.filter((flag) => flag.choices.length > 0).map((flag) =>
      `        ${flag.name}) words="${flag.choices.join(" ")}" ;;\n`
    ).join("");
    const any = flags.filter((flag) => flag.takesValue && flag.choices.length === 0);
    const others = [true, false].map((takesPath) => {
      const names = any.filter((flag) => flag.takesPath === takesPath).map((flag) => flag.name);
      const rest = takesPath ? ";;" : "compopt +o default 2>/dev/null ;;";
      return names.length === 0 ? "" : `        ${names.join("|")}) ${rest}\n`;
    }).join("");
    const all = [...choices, flagNames(flags)].join(" ");
    return `    ${names.join("|")})\n      case $before in\n${values}${others}` +
      `        *) words="${all}${models}" ;;\n      esac ;;\n`;
  }).join("");
  return `# bash: eval "$(${name} completions bash)", for example in ~/.bashrc
_${name}_models() {
  ${MODEL_NAMES}
}
_${name}() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${verbs.flatMap(({ names }) => names).join(" ")} --help --version"
  else
    case \${COMP_WORDS[1]} in
${cases}    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _${name} ${name}
`;
}

function zshScript(verbs: readonly VerbFacts[], name: string): string {
  const described = verbs.flatMap(({ names, summary }) =>
    names.map((each) => `    ${quoted(`${each}:${summary}`)}\n`)
  ).join("");
  const cases = verbs.map(({ names, flags, takesModel, choices }) => {
    const specs = flags.map(({ name, summary, takesValue, takesPath, choices }) => {
      const values = choices.length > 0 ? `(${choices.join(" ")})` : takesPath ? "_files" : " ";
      const text = summary.replace(/[[\]\\:]/g, "\\$&");
      return quoted(`${name}[${text}]${takesValue ? `:value:${values}` : ""}`);
    });
    const rest = choices.length > 0
      ? `*:value:(${choices.join(" ")})`
      : takesModel
      ? `*:model:_${name}_models`
      : "*:file:_files";
    const all = [...specs, quoted(rest)].join(" \\\n        ");
    return `    ${names.join("|")})\n      _arguments \\\n        ${all} ;;\n`;
  }).join("");
  return `#compdef ${name}
# zsh: eval "$(${name} completions zsh)", for example in ~/.zshrc, behind compinit
_${name}_models() {
  local -a models
  models=(\${(f)"$(${MODEL_NAMES})"})
  compadd -a models
  _files
}
_${name}() {
  local -a verbs
  verbs=(
${described}  )
  if (( CURRENT == 2 )); then
    _describe verb verbs
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
${cases}  esac
}
# As a file _${name} in a folder of $fpath, this is the function itself.
if [[ $funcstack[1] == _${name} ]]; then
  _${name} "$@"
else
  compdef _${name} ${name}
fi
`;
}

function fishScript(verbs: readonly VerbFacts[], name: string): string {
  const lines = verbs.flatMap(({ names, summary, flags, takesModel, choices }) => {
    const within = `complete -c ${name} -n '__fish_seen_subcommand_from ${names.join(" ")}'`;
    return [
      ...names.map((each) =>
        `complete -c ${name} -n __fish_use_subcommand -f -a ${each} -d ${fishQuoted(summary)}`
      ),
      ...takesModel ? [`${within} -a '(__${name}_models)'`] : [],
      ...choices.length > 0 ? [`${within} -f -a ${fishQuoted(choices.join(" "))}`] : [],
      ...flags.map(({ name, summary, takesValue, takesPath, choices }) => {
        const value = choices.length > 0
          ? ` -x -a ${fishQuoted(choices.join(" "))}`
          : takesValue
          ? takesPath ? " -r" : " -x"
          : "";
        return `${within} -l ${name.slice(2)}${value} -d ${fishQuoted(summary)}`;
      }),
    ];
  });
  return `# fish: ${name} completions fish | source, for example in ~/.config/fish/config.fish
function __${name}_models
  sh -c ${fishQuoted(MODEL_NAMES)}
end
${lines.join("\n")}
`;
}

/** In single quotes, for sh and zsh. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
