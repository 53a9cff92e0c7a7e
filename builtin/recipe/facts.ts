/**
 * The texts of `builtin/facts` as data: what is asked, in how many ways, and what is answered.
 * Knows the texts' form; draws nothing.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Answer, and every way to ask for it before words are changed. */
export interface Intent {
  /** The topic's first name and the kind of question: "bench@prints". */
  readonly id: string;
  readonly answer: string;
  /** Templates of the kind; `{x}` stands for one of `names`. */
  readonly templates: readonly string[];
  /** Patterns. */
  readonly names: readonly string[];
  /** Patterns of ways to ask. */
  readonly lines: readonly string[];
}

/** Patterns with `{slots}`, and the words that fill them. */
export interface Grammar {
  readonly asks: readonly string[];
  /** Answers, or plots of stories. */
  readonly answers: readonly string[];
  readonly slots: ReadonlyMap<string, readonly string[]>;
}

export interface Facts {
  readonly intents: readonly Intent[];
  readonly offTopic: Grammar;
  readonly stories: Grammar;
  /** Sets of words that may stand for each other. */
  readonly synonyms: readonly (readonly string[])[];
  /** Sentences that may stand before a question. */
  readonly fillers: readonly string[];
}

const FOLDER = fileURLToPath(new URL("../facts/", import.meta.url));
const TOPIC_FILES = [
  ...["verbs.txt", "flags.txt", "concepts.txt", "project.txt", "self.txt"],
  ...["more.txt", "service.txt"],
];
/** Ways to ask by intents' ids. */
const WAYS_FILES = ["paraphrases.txt", "voices.txt"];

export function readFacts(): Facts {
  const templates = readTemplates(linesOf("phrasings.txt"));
  const intents = withAnswers(
    TOPIC_FILES.flatMap((file) => readTopics(linesOf(file), templates, file)),
  );
  return {
    intents: addParaphrases(intents, WAYS_FILES.flatMap(linesOf)),
    offTopic: readGrammar(linesOf("offtopic.txt")),
    stories: readGrammar(linesOf("stories.txt")),
    synonyms: linesOf("synonyms.txt").map(splitBar),
    fillers: linesOf("fillers.txt"),
  };
}

/** Lines without comments and empty ones. */
function linesOf(file: string): string[] {
  return Deno.readTextFileSync(join(FOLDER, file)).split("\n").map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("# "));
}

function splitBar(text: string): string[] {
  return text.split(" | ").map((part) => part.trim());
}

function readTemplates(lines: readonly string[]): Map<string, string[]> {
  const kinds = new Map<string, string[]>([["say", []]]);
  let templates: string[] = [];
  for (const line of lines) {
    if (line.startsWith("@")) kinds.set(line.slice(1), templates = []);
    else templates.push(line);
  }
  return kinds;
}

/** An intent while its lines are read. */
type Draft = { -readonly [K in keyof Intent]: Intent[K] } & { lines: string[] };

/**
 * Topics begin with "## names", kinds of questions with "@kind", answers with "= text", or
 * "= see ID" for the answer of another intent; "+ text" is one more way to ask. A second "=" under
 * a kind begins an answer that only the lines around it ask for: the line before it and those
 * behind it.
 */
function readTopics(
  lines: readonly string[],
  templates: ReadonlyMap<string, string[]>,
  file: string,
): Intent[] {
  const intents: Draft[] = [];
  let names: string[] = [];
  let kind = "";
  let draft: Draft | null = null;
  for (const line of lines) {
    const rest = line.replace(/^\S+\s*/, "");
    if (line.startsWith("## ")) {
      names = splitBar(rest);
      draft = null;
    } else if (line.startsWith("@")) {
      kind = line.slice(1);
      draft = null;
    } else if (line.startsWith("= ")) {
      const moved: string[] = draft ? [draft.lines.pop()!] : [];
      const found = templates.get(kind);
      if (!found) throw new SyntaxError(`${file}: there are no templates for "@${kind}"`);
      const id = `${names[0]}@${kind}${moved.length > 0 ? `:${moved[0]}` : ""}`;
      draft = {
        id,
        answer: rest,
        templates: moved.length > 0 ? [] : found,
        names: moved.length > 0 || kind === "say" ? [] : names,
        lines: moved,
      };
      intents.push(draft);
    } else if (line.startsWith("+ ") && draft) draft.lines.push(rest);
    else throw new SyntaxError(`${file}: cannot read the line "${line}"`);
  }
  return intents;
}

/** Intents whose answer is "see ID" get the answer of that one. */
function withAnswers(intents: readonly Intent[]): Intent[] {
  const answers = new Map(intents.map(({ id, answer }) => [id, answer]));
  return intents.map((intent) => {
    if (!intent.answer.startsWith("see ")) return intent;
    const answer = answers.get(intent.answer.slice(4));
    if (answer === undefined) {
      throw new SyntaxError(`${intent.id}: there is no answer of "${intent.answer.slice(4)}"`);
    }
    return { ...intent, answer };
  });
}

/** "id: question | question" adds to the lines of an intent. */
function addParaphrases(intents: readonly Intent[], lines: readonly string[]): Intent[] {
  const more = new Map<string, string[]>();
  for (const line of lines) {
    const at = line.search(/: (?=[^@]*$)/);
    const id = line.slice(0, at);
    more.set(id, [...more.get(id) ?? [], ...splitBar(line.slice(at + 2))]);
  }
  const added = intents.map((intent) => {
    const questions = more.get(intent.id) ?? [];
    more.delete(intent.id);
    return { ...intent, lines: [...intent.lines, ...questions] };
  });
  if (more.size === 0) return added;
  throw new SyntaxError(`paraphrases.txt: there are no intents ${[...more.keys()].join(", ")}`);
}

function readGrammar(lines: readonly string[]): Grammar {
  const asks: string[] = [];
  const answers: string[] = [];
  const slots = new Map<string, readonly string[]>();
  for (const line of lines) {
    const slot = /^(\w+): (.*)$/.exec(line);
    if (slot) slots.set(slot[1], splitBar(slot[2]));
    else (/^[?+] /.test(line) ? asks : answers).push(line.slice(2));
  }
  const twoDigits = Array.from({ length: 120 }, (_, i) => String(i * 17 % 1999));
  slots.set("n", twoDigits);
  return { asks, answers, slots };
}
