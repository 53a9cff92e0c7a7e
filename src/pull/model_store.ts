/**
 * The folder that pulled models lie in: each under its name, with a small file beside it that says
 * where it came from. There is no list of them that could be wrong: the folder is the list.
 */
import { join } from "node:path";
import { z } from "zod";
import { withoutLatest } from "../base/latest_tag.ts";
import { PROJECTOR_ENDING } from "../base/projector_name.ts";
import { removeFile } from "../base/remove_file.ts";
import { explainWriteError } from "../base/write_errors.ts";
import { FileCatalog, type FileKind, modelName } from "../models/mod.ts";
import { PartialFile } from "./partial_file.ts";
import { pulledAs } from "./pulled_names.ts";
import { splitNumber } from "./reference.ts";

/** Of a file of a model, as it was when it was pulled. */
export interface StoredFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string | null;
  /** What the server called this version. */
  readonly validator: string | null;
}

/** Where a model came from. */
export interface SourceRecord {
  /** As `sourceOf` writes it. */
  readonly source: string;
  readonly files: readonly StoredFile[];
  /** ISO 8601. */
  readonly pulledAt: string;
}

export interface StoredModel {
  readonly id: string;
  /** The file, of a split model the first part; null: it is not complete. */
  readonly path: string | null;
  /** Of one that is not complete, "model". */
  readonly kind: FileKind;
  /** Of all parts; of one that is not complete what is there. */
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
  /** Null: it was not pulled. */
  readonly source: string | null;
}

const recordSchema = z.object({
  source: z.string().max(4096),
  files: z.array(z.object({
    name: z.string().max(255),
    sizeBytes: z.int().min(0),
    sha256: z.string().nullable(),
    validator: z.string().nullable(),
  })).min(1).max(99_999),
  pulledAt: z.string().max(40),
});

/** More is no record of ours. */
const RECORD_BYTES_MAX = 16 << 20;

export class ModelStore {
  readonly folder: string;
  readonly #catalog: FileCatalog;

  constructor(folder: string) {
    this.folder = folder;
    this.#catalog = new FileCatalog({ files: [], folder, refreshMs: 0, hasAllKinds: true });
  }

  /** Every model, by name; those that are not complete last. */
  list(): StoredModel[] {
    const whole = this.#catalog.ids().flatMap((id) => this.#describe(id) ?? []);
    return [...whole, ...this.#unfinished()];
  }

  /** The path of the model of that name, or that was pulled as that; null: none. */
  pathOf(text: string): string | null {
    return this.#catalog.pathOf(withoutLatest(text)) ?? this.namesOfPulled()(text);
  }

  /** Finds paths by what models were pulled as, as things are now: all records are read once. */
  namesOfPulled(): (text: string) => string | null {
    const known = this.ids().flatMap((id) => {
      const source = this.record(id)?.source;
      return source === undefined ? [] : [{ id, source }];
    });
    return (text) => {
      const id = pulledAs(text, known);
      return id === null ? null : this.#catalog.pathOf(id) ?? null;
    };
  }

  /** Names, for those who mistyped one. */
  ids(): readonly string[] {
    return this.#catalog.ids();
  }

  /** Where a model came from; null: nobody wrote it down. */
  record(id: string): SourceRecord | null {
    try {
      const path = this.#recordPath(id);
      if (Deno.statSync(path).size > RECORD_BYTES_MAX) return null;
      return recordSchema.parse(JSON.parse(Deno.readTextFileSync(path)));
    } catch {
      return null;
    }
  }

  /** Writes down where a model came from: the old record or the new one, never a half. */
  keepRecord(id: string, record: SourceRecord): void {
    const path = this.#recordPath(id);
    try {
      Deno.writeTextFileSync(`${path}.new`, JSON.stringify(record));
      Deno.renameSync(`${path}.new`, path);
    } catch (error) {
      throw explainWriteError(error, path);
    }
  }

  /** Where a file lies while it is not complete. */
  partialPath(name: string): string {
    return join(this.folder, PARTIAL, name);
  }

  /** Where it belongs. */
  finalPath(name: string): string {
    return join(this.folder, name);
  }

  /**
   * Makes the folders.
   * @throws {Error} "Cannot write …" when they may not be made.
   */
  prepare(): void {
    try {
      Deno.mkdirSync(join(this.folder, PARTIAL), { recursive: true });
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) {
        throw new Error(
          `Cannot write to "${this.folder}": Deno does not let this program: start it with ` +
            "`deno task ganglion`, or with --allow-write",
        );
      }
      throw explainWriteError(error, this.folder);
    }
  }

  /**
   * Deletes a model, or what there is of one. Who has it open may go on reading it.
   * @returns the names of what is gone; empty: there is no such model.
   * @throws {Error} when another program pulls or removes it, or the system refuses.
   */
  remove(text: string): string[] {
    const path = this.pathOf(text);
    const id = path === null ? text : modelName(path);
    const partial = this.#partialNames().filter((name) => modelName(name) === id);
    // Parts may have come to their place before a crash, without the first.
    const names = path === null && partial.length === 0 ? [] : this.#filesOf(path ?? partial[0]);
    if (names.length === 0 && partial.length === 0) return [];
    this.prepare();
    const first = names[0] ?? partial[0];
    const lock = PartialFile.lock(this.partialPath(first));
    try {
      // The first part first: what is left is no model.
      const gone = names.filter((name) => removeFile(this.finalPath(name)));
      removeFile(this.#recordPath(id));
      for (const name of partial) {
        if (removeFile(this.partialPath(name))) gone.push(`${PARTIAL}/${name}`);
        removeFile(`${this.partialPath(name)}.journal`);
      }
      removeFile(lock.path);
      return gone;
    } finally {
      lock.close();
    }
  }

  #describe(id: string): StoredModel | null {
    const path = this.#catalog.pathOf(id);
    if (path === undefined) return null;
    let sizeBytes = 0;
    let modifiedAt = new Date(0);
    for (const name of this.#filesOf(path)) {
      const stat = statOf(this.finalPath(name));
      sizeBytes += stat?.size ?? 0;
      modifiedAt = stat?.mtime ?? modifiedAt;
    }
    const kind = this.#catalog.kindOf(id) ?? "model";
    return { id, path, kind, sizeBytes, modifiedAt, source: this.record(id)?.source ?? null };
  }

  #unfinished(): StoredModel[] {
    const models = Map.groupBy(this.#partialNames(), modelName);
    return [...models].map(([id, names]) => {
      const stats = names.map((name) => statOf(this.partialPath(name)));
      // Holes are no bytes.
      const sizeBytes = stats.reduce((sum, stat) => sum + (stat?.blocks ?? 0) * 512, 0);
      const modifiedAt = stats[0]?.mtime ?? new Date(0);
      return { id, path: null, kind: "model", sizeBytes, modifiedAt, source: null };
    });
  }

  /** Those of a model's files that are there, the first part first, its projector last. */
  #filesOf(path: string): string[] {
    const first = path.replace(/^.*[\\/]/, "");
    const projector = modelName(first) + PROJECTOR_ENDING;
    const { stem, count } = splitNumber(first) ?? { stem: "", count: 1 };
    const number = (n: number) => String(n).padStart(5, "0");
    const parts = Array.from(
      { length: count },
      (_, i) => i === 0 ? first : `${stem}-${number(i + 1)}-of-${number(count)}.gguf`,
    );
    return [...parts, projector].filter((name) => statOf(this.finalPath(name)) !== null);
  }

  #partialNames(): string[] {
    try {
      return [...Deno.readDirSync(join(this.folder, PARTIAL))]
        .filter(({ isFile, name }) => isFile && !name.endsWith(".journal"))
        .map(({ name }) => name).sort();
    } catch {
      return [];
    }
  }

  #recordPath(id: string): string {
    return join(this.folder, `${id}.source.json`);
  }
}

const PARTIAL = ".partial";

function statOf(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch {
    return null;
  }
}
