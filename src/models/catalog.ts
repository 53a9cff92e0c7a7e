/**
 * Which model files a server offers: those that were named, and those in a folder. Knows names and
 * paths; looks no further into files than to see that they are models.
 */
import { UsageError } from "../base/errors.ts";
import { withoutLatest } from "../base/latest_tag.ts";
import { type FileKind, FileKinds } from "./file_kind.ts";
import type { FileFacts, ModelCatalog } from "./types.ts";

/** A name that clients use, and the file. */
export interface NamedFile {
  readonly id: string;
  readonly path: string;
  /** The model in whose engine it is, with an adapter; left out: it has its own. */
  readonly base?: string;
}

export interface CatalogOptions {
  /** In this order; the first is the default. */
  readonly files: readonly NamedFile[];
  /** Every model file in it is offered, too; looked at again when it may have changed. */
  readonly folder?: string;
  /** Adapters and projectors of the folder, too, as `list` and `rm` want them. Default false. */
  readonly hasAllKinds?: boolean;
  /**
   * Makes what finds files by what they were pulled as; made anew when the folder may have changed.
   * Left out: names of files are the only ones.
   */
  readonly namesOfPulled?: () => (name: string) => string | null;
  /** How long what was seen in the folder is believed; default 1 s. */
  readonly refreshMs?: number;
}

export class FileCatalog implements ModelCatalog {
  readonly #named: readonly NamedFile[];
  readonly #folder: string | undefined;
  readonly #refreshMs: number;
  readonly #hasAllKinds: boolean;
  readonly #kinds = new FileKinds();
  readonly #namesOfPulled: NonNullable<CatalogOptions["namesOfPulled"]>;
  #pulledAs: ((name: string) => string | null) | null = null;
  #files: ReadonlyMap<string, string>;
  #seenMs = -Infinity;

  /** @throws {UsageError} when two named files have one name. */
  constructor({ files, folder, refreshMs = 1_000, ...more }: CatalogOptions) {
    const { hasAllKinds = false, namesOfPulled } = more;
    this.#hasAllKinds = hasAllKinds;
    this.#named = files;
    this.#folder = folder;
    this.#refreshMs = refreshMs;
    this.#namesOfPulled = namesOfPulled ?? (() => () => null);
    this.#files = new Map(files.map(({ id, path }) => [id, path]));
    if (this.#files.size < files.length) {
      const twice = files.find(({ id }, index) => files.findIndex((one) => one.id === id) < index);
      throw new UsageError(
        `Cannot serve two models named "${twice?.id}": rename one of the files`,
      );
    }
  }

  ids(): readonly string[] {
    return [...this.#current().keys()];
  }

  /** The id that a name stands for, which may be what the model was pulled as; undefined: none. */
  idOf(name: string): string | undefined {
    const files = this.#current();
    for (const id of [name, withoutLatest(name)]) if (files.has(id)) return id;
    this.#pulledAs ??= this.#namesOfPulled();
    const path = this.#pulledAs(name);
    return [...files].find((file) => file[1] === path)?.[0];
  }

  /** The file of an id; undefined: there is none. */
  pathOf(id: string): string | undefined {
    return this.#current().get(id);
  }

  baseOf(id: string): string | undefined {
    return this.#named.find((file) => file.id === id)?.base;
  }

  fileOf(id: string): FileFacts | undefined {
    const path = this.pathOf(id);
    return path === undefined ? undefined : factsOf(path);
  }

  /** True of a model that was named by itself, not found in the folder. */
  isNamed(id: string): boolean {
    return this.#named.some((file) => file.id === id);
  }

  /** What the file of an id is; undefined: there is none. */
  kindOf(id: string): FileKind | undefined {
    const path = this.pathOf(id);
    return path === undefined ? undefined : this.#kinds.of(path);
  }

  /** The folder has changed: it is looked at again when somebody asks. */
  refresh(): void {
    this.#seenMs = -Infinity;
  }

  #current(): ReadonlyMap<string, string> {
    if (performance.now() - this.#seenMs < this.#refreshMs) return this.#files;
    this.#seenMs = performance.now();
    this.#pulledAs = null;
    if (this.#folder === undefined) return this.#files;
    const files = new Map(this.#named.map(({ id, path }) => [id, path]));
    const found = filesIn(this.#folder);
    for (const { id, path } of found) {
      const isOffered = this.#hasAllKinds || this.#kinds.of(path) === "model";
      if (!files.has(id) && isOffered) files.set(id, path);
    }
    this.#kinds.keepOnly(found.map(({ path }) => path));
    return this.#files = files;
  }
}

/**
 * "dir/tiny.Q4_0.gguf" → "tiny.Q4_0"; of a split model's first part the name before its number, of
 * a projector its model's.
 */
export function modelName(path: string): string {
  return path.replace(/^.*[\\/]/, "").replace(/(\.mmproj)?\.(gguf|ganglion)$/i, "")
    .replace(/-00001-of-\d{5}$/, "");
}

/** Undefined where a part of the model is missing, or may not be looked at. */
function factsOf(path: string): FileFacts | undefined {
  const [end, count] = /-00001-of-(\d{5})\.gguf$/i.exec(path) ?? ["", "1"];
  const stem = path.slice(0, path.length - end.length);
  try {
    const parts = Array.from(
      { length: Number(count) },
      (_, part) =>
        Deno.statSync(
          end === "" ? path : `${stem}-${`${part + 1}`.padStart(5, "0")}-of-${count}.gguf`,
        ),
    );
    return {
      sizeBytes: parts.reduce((sum, { size }) => sum + size, 0),
      modifiedMs: Math.max(...parts.map(({ mtime }) => mtime?.getTime() ?? 0)),
    };
  } catch {
    return undefined;
  }
}

/**
 * Model files of a folder by name, packed ones before plain ones of the same name; nothing where
 * the folder cannot be read, for it may come back.
 */
function filesIn(folder: string): NamedFile[] {
  try {
    return [...Deno.readDirSync(folder)]
      .filter(({ isDirectory, name }) => !isDirectory && isModelFile(name))
      .map(({ name }) => ({ id: modelName(name), path: `${folder}/${name}` }))
      .sort((a, b) => compare(a.id, b.id) || compare(a.path, b.path));
  } catch {
    return [];
  }
}

/** Later parts of a split model are none by themselves, nor are projectors. */
function isModelFile(name: string): boolean {
  return /\.(gguf|ganglion)$/i.test(name) && !/^\.|^mmproj|\.mmproj\.gguf$/i.test(name) &&
    !/-(?!00001)\d{5}-of-\d{5}\.gguf$/i.test(name);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
