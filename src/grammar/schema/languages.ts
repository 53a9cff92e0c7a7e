/**
 * Sets of texts that are regular, put together by and, or, not: what a text may go on with behind
 * a character is found by derivatives (Brzozowski 1964), and with it an automaton. Each language is
 * made once, so that equal ones are the same. Knows nothing of schemas or of JSON.
 */
import type { WorkBudget } from "../json_rules.ts";
import { ANY_CODE_POINT, type CodePoints, codePoints, hasCodePoint } from "../code_points.ts";

/** A set of texts; `id` by which equal ones are found again. */
export type Language =
  & { readonly id: number; readonly hasEmptyText: boolean }
  & (
    | { readonly kind: "empty text" }
    | { readonly kind: "set"; readonly set: CodePoints }
    | { readonly kind: "sequence"; readonly first: Language; readonly rest: Language }
    | { readonly kind: "or" | "and"; readonly parts: readonly Language[] }
    | { readonly kind: "not"; readonly body: Language }
    | {
      readonly kind: "repeat";
      readonly body: Language;
      readonly min: number;
      readonly max: number;
    }
    | { readonly kind: "machine"; readonly machine: Machine; readonly state: number }
  );

/** An automaton that counts, as no expression does; its states are numbers. */
export interface Machine {
  /** The state behind a character; null: no text goes on so. */
  readonly step: (state: number, point: number) => number | null;
  readonly accepts: (state: number) => boolean;
  /** What it tells apart. */
  readonly sets: readonly CodePoints[];
}

/** Of an automaton: states, 0 the first. */
export interface Automaton {
  readonly states: readonly {
    readonly accepts: boolean;
    /** To other states, by characters that no two of them have in common. */
    readonly edges: readonly { readonly set: CodePoints; readonly to: number }[];
  }[];
}

/** Work that an automaton may take, about a tenth of a second. */
const WORK_MAX = 400_000;
const STATES_MAX = 4000;
/** Sets of characters that are told apart. */
const SETS_MAX = 256;

/** More than there is room for. */
export class LanguageError extends Error {
  override readonly name = "LanguageError";
}

type Shape = Language extends infer L ? L extends Language ? Omit<L, "id"> : never : never;

export class Languages {
  readonly #made = new Map<string, Language>();
  readonly #machines: Machine[] = [];
  readonly #sets = new Map<string, CodePoints>();
  readonly #behind = new Map<number, Map<number, Language>>();
  readonly #budget: WorkBudget;
  #work = 0;

  /** No text at all. */
  readonly none: Language;
  readonly emptyText: Language;
  readonly anyText: Language;

  /** budget: of all that are made for one grammar. */
  constructor(budget: WorkBudget) {
    this.#budget = budget;
    this.none = this.#make("none", { kind: "or", parts: [], hasEmptyText: false });
    this.emptyText = this.#make("", { kind: "empty text", hasEmptyText: true });
    this.anyText = this.repeat(this.set(ANY_CODE_POINT), 0, Infinity);
  }

  /** Counts work. @throws {LanguageError} when there was too much. */
  spend(units: number): void {
    this.#work += units;
    this.#budget.left -= units;
    if (this.#work > WORK_MAX || this.#budget.left < 0) {
      throw new LanguageError("more work than a schema is worth");
    }
  }

  /** One character of the set. */
  set(set: CodePoints): Language {
    if (set.length === 0) return this.none;
    const key = set.join();
    if (!this.#sets.has(key)) {
      if (this.#sets.size >= SETS_MAX) {
        throw new LanguageError(`more than ${SETS_MAX} sets of characters`);
      }
      this.#sets.set(key, set);
    }
    return this.#make(`s${key}`, { kind: "set", set, hasEmptyText: false });
  }

  sequence(first: Language, rest: Language): Language {
    if (first === this.none || rest === this.none) return this.none;
    if (first === this.emptyText) return rest;
    if (rest === this.emptyText) return first;
    if (first.kind === "sequence") {
      return this.sequence(first.first, this.sequence(first.rest, rest));
    }
    const hasEmptyText = first.hasEmptyText && rest.hasEmptyText;
    return this.#make(`.${first.id},${rest.id}`, { kind: "sequence", first, rest, hasEmptyText });
  }

  or(...languages: readonly Language[]): Language {
    const parts = flat(languages, "or");
    if (parts.includes(this.anyText)) return this.anyText;
    if (parts.length === 1) return parts[0];
    if (parts.length === 0) return this.none;
    const hasEmptyText = parts.some((each) => each.hasEmptyText);
    return this.#make(`|${idsOf(parts)}`, { kind: "or", parts, hasEmptyText });
  }

  and(...languages: readonly Language[]): Language {
    const parts = flat(languages, "and").filter((each) => each !== this.anyText);
    if (parts.length === 0) return this.anyText;
    if (parts.length === 1) return parts[0];
    const hasEmptyText = parts.every((each) => each.hasEmptyText);
    if (parts.includes(this.none)) return this.none;
    if (parts.includes(this.emptyText)) return hasEmptyText ? this.emptyText : this.none;
    return this.#make(`&${idsOf(parts)}`, { kind: "and", parts, hasEmptyText });
  }

  not(body: Language): Language {
    if (body.kind === "not") return body.body;
    if (body === this.anyText) return this.none;
    if (body === this.none) return this.anyText;
    return this.#make(`!${body.id}`, { kind: "not", body, hasEmptyText: !body.hasEmptyText });
  }

  repeat(body: Language, least: number, max: number): Language {
    const min = body.hasEmptyText ? 0 : least;
    if (max === 0 || body === this.emptyText) return this.emptyText;
    if (body === this.none) return min === 0 ? this.emptyText : this.none;
    if (min === 1 && max === 1) return body;
    const hasEmptyText = min === 0;
    return this.#make(`*${body.id},${min},${max}`, {
      kind: "repeat",
      body,
      min,
      max,
      hasEmptyText,
    });
  }

  machine(machine: Machine, state: number): Language {
    let number = this.#machines.indexOf(machine);
    if (number < 0) {
      number = this.#machines.push(machine) - 1;
      for (const set of machine.sets) this.set(set);
    }
    const hasEmptyText = machine.accepts(state);
    return this.#make(`m${number},${state}`, { kind: "machine", machine, state, hasEmptyText });
  }

  /**
   * The automaton of a language, all of whose states lead to a text; without any where it has none.
   * @throws {LanguageError} when it would be too large.
   */
  automatonOf(language: Language): Automaton {
    const classes = classesOf([...this.#sets.values()]);
    const found = [language];
    const numbers = new Map([[language.id, 0]]);
    const edges: Map<number, number[]>[] = [];
    for (let at = 0; at < found.length; at++) {
      const byTarget = new Map<number, number[]>();
      for (const pairs of classes) {
        const next = this.#after(found[at], pairs[0]);
        if (next === this.none) continue;
        let to = numbers.get(next.id);
        if (to === undefined) {
          if (found.length >= STATES_MAX) throw new LanguageError(`more than ${STATES_MAX} states`);
          numbers.set(next.id, to = found.push(next) - 1);
        }
        const known = byTarget.get(to);
        if (known === undefined) byTarget.set(to, [...pairs]);
        else for (const point of pairs) known.push(point);
      }
      edges.push(byTarget);
    }
    return livingPart(found.map(({ hasEmptyText }) => hasEmptyText), edges);
  }

  /** What texts of the language go on with behind a character. */
  #after(language: Language, point: number): Language {
    this.spend(1);
    const { kind } = language;
    if (kind === "empty text") return this.none;
    if (kind === "set") {
      return hasCodePoint(language.set, point) ? this.emptyText : this.none;
    }
    let known = this.#behind.get(language.id);
    if (known === undefined) this.#behind.set(language.id, known = new Map());
    let after = known.get(point);
    if (after === undefined) known.set(point, after = this.#find(language, point));
    return after;
  }

  #find(language: Language, point: number): Language {
    switch (language.kind) {
      case "sequence": {
        const { first, rest } = language;
        const behind = this.sequence(this.#after(first, point), rest);
        return first.hasEmptyText ? this.or(behind, this.#after(rest, point)) : behind;
      }
      case "or":
        return this.or(...language.parts.map((each) => this.#after(each, point)));
      case "and":
        return this.and(...language.parts.map((each) => this.#after(each, point)));
      case "not":
        return this.not(this.#after(language.body, point));
      case "repeat": {
        const { body, min, max } = language;
        const more = this.repeat(body, Math.max(0, min - 1), max - 1);
        return this.sequence(this.#after(body, point), more);
      }
      case "machine": {
        const next = language.machine.step(language.state, point);
        return next === null ? this.none : this.machine(language.machine, next);
      }
      default:
        return this.none;
    }
  }

  #make(key: string, shape: Shape): Language {
    this.spend(1 + ("parts" in shape ? shape.parts.length : 0));
    let made = this.#made.get(key);
    if (made === undefined) {
      made = { id: this.#made.size, ...shape } as Language;
      this.#made.set(key, made);
    }
    return made;
  }
}

/** Parts of parts, each once, in the order of their ids. */
function flat(languages: readonly Language[], kind: "or" | "and"): Language[] {
  const all = languages.flatMap((each) => each.kind === kind ? each.parts : [each]);
  return [...new Set(all)].sort((a, b) => a.id - b.id);
}

function idsOf(parts: readonly Language[]): string {
  return parts.map(({ id }) => id).join();
}

/** Characters that no set tells apart, as pairs [first, last, …]; together all there are. */
function classesOf(sets: readonly CodePoints[]): number[][] {
  const borders = new Set<number>(ANY_CODE_POINT.map((point, i) => point + i % 2));
  for (const set of sets) set.forEach((point, i) => borders.add(point + i % 2));
  const starts = [...borders].sort((a, b) => a - b);
  const classes = new Map<string, number[]>();
  for (let i = 0; i + 1 < starts.length; i++) {
    const first = starts[i];
    if (!hasCodePoint(ANY_CODE_POINT, first)) continue; // surrogates
    const key = sets.map((set) => hasCodePoint(set, first) ? 1 : 0).join("");
    const pairs = classes.get(key) ?? [];
    pairs.push(first, starts[i + 1] - 1);
    classes.set(key, pairs);
  }
  return [...classes.values()];
}

/** Without the states from which no text ends. */
function livingPart(
  accepts: readonly boolean[],
  edges: readonly Map<number, number[]>[],
): Automaton {
  const sources = accepts.map((): number[] => []);
  edges.forEach((byTarget, from) => byTarget.forEach((_, to) => sources[to].push(from)));
  const lives = [...accepts];
  const waiting = [...accepts.keys()].filter((state) => accepts[state]);
  for (let state = waiting.pop(); state !== undefined; state = waiting.pop()) {
    for (const from of sources[state]) {
      if (lives[from]) continue;
      lives[from] = true;
      waiting.push(from);
    }
  }
  const numbers: number[] = [];
  let count = 0;
  for (const [state, isAlive] of lives.entries()) if (isAlive) numbers[state] = count++;
  if (!lives[0]) return { states: [] };
  return {
    states: [...lives.keys()].filter((state) => lives[state]).map((state) => ({
      accepts: accepts[state],
      edges: [...edges[state]].filter(([to]) => lives[to])
        .map(([to, pairs]) => ({ set: codePoints(pairs), to: numbers[to] })),
    })),
  };
}
