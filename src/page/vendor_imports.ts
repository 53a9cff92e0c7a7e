/**
 * A bundle's imports of libraries, led to the one file that has all of them. Works on texts: on
 * what is written in vendor.ts, and on a bundle's statements.
 */

/** A library as vendor.ts exports it. */
export interface Library {
  readonly specifier: string;
  /** What is exported of it, by its own names; "default" is one of them. */
  readonly names: ReadonlyMap<string, string>;
}

const EXPORT = /^export \{([^}]*)\} from "([^"]+)";$/gm;
/** Of a statement's beginning; what stands in a text is behind a quotation mark. */
const IMPORT = /(?<=^|[;}\n])import\s*([\w$]+)?\s*,?\s*(?:\{([^}]*)\})?\s*from\s*"([^"]+)";/g;

/** The libraries of vendor.ts. */
export function librariesOf(source: string): readonly Library[] {
  return [...source.matchAll(EXPORT)].map(([, names, specifier]) => ({
    specifier,
    names: new Map(pairsOf(names)),
  }));
}

/**
 * The bundle with one import at its beginning, of `address`, in the place of those of libraries,
 * which stand where its modules began.
 * @throws {Error} when it imports what is not exported there.
 */
export function importFrom(
  address: string,
  libraries: readonly Library[],
  bundle: string,
): string {
  const parts: string[] = [];
  const code = bundle.replace(IMPORT, (_, whole = "", names = "", specifier = "") => {
    const known = libraries.find((each) => each.specifier === specifier)?.names;
    for (const [name, local] of [...whole ? [["default", whole]] : [], ...pairsOf(names)]) {
      const exported = known?.get(name);
      if (exported === undefined) {
        throw new Error(
          `Cannot build the page: src/page/vendor.ts has no ${name} of "${specifier}": export it`,
        );
      }
      parts.push(exported === local ? local : `${exported} as ${local}`);
    }
    return "";
  });
  return `import{${parts.join()}}from"${address}";${code}`;
}

/** "a, b as c" → ["a", "a"], ["b", "c"]. */
function pairsOf(list: string): readonly (readonly [string, string])[] {
  return list.split(",").map((each) => each.trim()).filter((each) => each !== "").map((each) => {
    const [name, local = name] = each.split(/\s+as\s+/);
    return [name, local];
  });
}
