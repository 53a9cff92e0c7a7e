/**
 * What `deno task NAME` would start, so that whoever begins a hundred of them needs no second
 * process for each: that of `deno task` computes half a second before the one it starts begins.
 */

/** A command of Deno's: what it is told, and the variables that the task sets. */
export interface DenoCommand {
  readonly args: string[];
  readonly env: Record<string, string>;
}

const CONFIG = new URL("../../deno.json", import.meta.url);
/** A word, or what quotes hold together; both may follow each other without a space. */
const WORD = /(?:"[^"$`\\]*"|[^\s"'$`\\;&|<>()*?~])+/gy;
const VARIABLE = /^([A-Z][A-Z0-9_]*)=(.*)$/;

/**
 * The command of a task: variables, `deno`, words. Null where only `deno task` knows: the task is
 * none of deno.json's, waits for others, or is more than one command of plain words.
 */
export function taskCommand(name: string): DenoCommand | null {
  const { tasks } = JSON.parse(Deno.readTextFileSync(CONFIG));
  const task = Object.hasOwn(tasks, name) ? tasks[name] : null;
  if (typeof task?.command !== "string" || task.dependencies !== undefined) return null;
  return readCommand(task.command);
}

/** The same of a task's text. */
export function readCommand(text: string): DenoCommand | null {
  const words: string[] = [];
  let rest = text.trim();
  while (rest !== "") {
    WORD.lastIndex = 0;
    const word = WORD.exec(rest)?.[0];
    const behind = word === undefined ? "" : rest.slice(word.length);
    if (word === undefined || /^\S/.test(behind)) return null;
    words.push(word.replaceAll('"', ""));
    rest = behind.trimStart();
  }
  const env: Record<string, string> = {};
  for (let set = VARIABLE.exec(words[0] ?? ""); set; set = VARIABLE.exec(words[0] ?? "")) {
    env[set[1]] = set[2];
    words.shift();
  }
  return words.shift() === "deno" ? { args: words, env } : null;
}
