/**
 * Pulls a model: asks what it consists of, brings what is missing, checks it, and puts it where it
 * belongs, so that at any moment there is the old one, the new one, or none, and never a half.
 */
import { UsageError } from "../base/errors.ts";
import { PROJECTOR_ENDING } from "../base/projector_name.ts";
import { removeFile } from "../base/remove_file.ts";
import { explainWriteError } from "../base/write_errors.ts";
import { openModelFile } from "../bundle/mod.ts";
import { modelName } from "../models/mod.ts";
import { requireRoom } from "./disk.ts";
import { ChangedError } from "./fault.ts";
import { type FileFacts, probeFile, receiveFile } from "./file_download.ts";
import { listHubFiles, type RemoteFile } from "./hub.ts";
import { ModelStore, type StoredFile } from "./model_store.ts";
import { DEFAULTS, type PullOptions, type TransferOptions } from "./options.ts";
import { fileSha256, PartialFile } from "./partial_file.ts";
import { explainPull, PullError } from "./pull_error.ts";
import {
  parseReference,
  type PullReference,
  renamed,
  safeFileName,
  sourceOf,
  splitNumber,
} from "./reference.ts";
import { requireTrust, urlFiles } from "./url_files.ts";
import { Web } from "./web.ts";

export interface PulledModel {
  readonly id: string;
  readonly path: string;
  readonly source: string;
  readonly files: readonly StoredFile[];
  readonly sizeBytes: number;
  /** What came over the network this time. */
  readonly receivedBytes: number;
  /** Nothing had to come. */
  readonly wasThere: boolean;
}

/** Each takes two descriptors while it is pulled. */
const PARTS_MAX = 200;

/** A server that changes its file faster than it can be read. */
const RESTARTS_MAX = 3;

/**
 * Pulls the model of `reference` into a folder; goes on with what an earlier try has left there.
 * @throws {UsageError} when the reference, or what it leads to, cannot be meant.
 * @throws {PullError | Error} "Cannot …" for all else; what came is kept unless it is wrong.
 * @throws the signal's reason.
 */
export async function pullModel(reference: string, options: PullOptions): Promise<PulledModel> {
  const wanted = parseReference(reference);
  const settings = { ...DEFAULTS, ...onlyDefined(options) };
  requireTrust(wanted, options);
  const pull = new Pull(wanted, settings);
  for (let restarts = 0;; restarts++) {
    try {
      return await pull.run();
    } catch (error) {
      options.signal?.throwIfAborted();
      if (error instanceof ChangedError && restarts < RESTARTS_MAX) {
        settings.onNotice?.(`${sourceOf(wanted)}: ${error.message}: beginning again`);
        continue;
      }
      throw explainPull(error, sourceOf(wanted));
    }
  }
}

type Settings = PullOptions & Required<Pick<PullOptions, keyof typeof DEFAULTS>>;

/** A file on its way. */
interface Part {
  readonly file: RemoteFile;
  readonly facts: FileFacts;
  readonly name: string;
  readonly into: PartialFile;
  /** It is a second name of the file that lies in its place already. */
  readonly isLink: boolean;
}

class Pull {
  readonly #reference: PullReference;
  readonly #settings: Settings;
  readonly #store: ModelStore;
  readonly #transfer: TransferOptions;
  #received = 0;

  constructor(reference: PullReference, settings: Settings) {
    this.#reference = reference;
    this.#settings = settings;
    this.#store = new ModelStore(settings.folder);
    const { endpoint, token, stallMs } = settings;
    this.#transfer = {
      ...settings,
      web: new Web({ endpoint, token, stallMs }),
      onRetry: ({ message }, pauseMs) =>
        settings.onNotice?.(
          `${message}: trying again${pauseMs < 1000 ? "" : ` in ${Math.round(pauseMs / 1000)} s`}`,
        ),
    };
  }

  async run(): Promise<PulledModel> {
    const source = sourceOf(this.#reference);
    if (this.#settings.offline) return this.#fromStore(source);
    const remote = await this.#remoteFiles();
    if (remote.length > PARTS_MAX) {
      throw new UsageError(`Cannot pull ${source}: it is in ${remote.length} parts, too many`);
    }
    const first = this.#nameOf(remote[0].path);
    const id = modelName(first);
    const names = remote.map(({ path, isProjector }) =>
      isProjector ? safeFileName(id + PROJECTOR_ENDING) : this.#nameOf(path)
    );
    const probed: { file: RemoteFile; facts: FileFacts }[] = [];
    for (const file of remote) {
      probed.push({ file, facts: await probeFile(file, this.#transfer) });
    }
    const files = probed.map(({ facts }, i): StoredFile => ({ name: names[i], ...only(facts) }));
    this.#store.prepare();
    const stored = this.#stored(id, { source, files });
    if (stored !== null) return stored;
    // Nothing is changed before it is known that nothing forbids it.
    const inPlace: boolean[] = [];
    for (const file of files) inPlace.push(await this.#isInPlace(file, { source, id }));
    if (!inPlace.includes(false)) {
      this.#store.keepRecord(id, { source, files, pulledAt: new Date().toISOString() });
      return this.#describe(id, { source, files, wasThere: true });
    }
    const parts: Part[] = [];
    try {
      for (const [i, { file, facts }] of probed.entries()) {
        parts.push(await this.#open(names[i], { file, facts, isInPlace: inPlace[i] }));
      }
      await this.#receive(parts);
      await this.#check(parts);
      await this.#commit(parts, { id, source, files });
    } finally {
      for (const { into, isLink } of parts) {
        if (isLink && hasTwoNames(into.path)) into.discard();
        else into.close();
      }
    }
    return this.#describe(id, { source, files, wasThere: false });
  }

  #fromStore(source: string): PulledModel {
    const path = this.#store.pathOf(source);
    const record = path === null ? null : this.#store.record(modelName(path));
    if (path === null || record === null) {
      const text = `Cannot pull ${source}: it is not here, and --offline forbids to fetch it`;
      throw new PullError(text, "not_found");
    }
    return this.#describe(modelName(path), { ...record, wasThere: true });
  }

  async #remoteFiles(): Promise<readonly RemoteFile[]> {
    const { sha256 = null } = this.#settings;
    const reference = this.#reference;
    let files: readonly RemoteFile[];
    if (reference.kind === "url") files = urlFiles(reference.url);
    else {
      const { endpoint } = this.#settings;
      files = await listHubFiles(reference, { ...this.#transfer, endpoint });
    }
    if (sha256 === null) return files;
    if (files.length > 1 && !files[1].isProjector) {
      throw new UsageError("Cannot check --sha256: the model is in several files: leave it out");
    }
    return [{ ...files[0], sha256 }, ...files.slice(1)];
  }

  #nameOf(path: string): string {
    const { name } = this.#settings;
    return name === undefined ? safeFileName(path) : renamed(safeFileName(path), name);
  }

  /** The model as it is, if it is what the server has. */
  #stored(id: string, now: { source: string; files: StoredFile[] }): PulledModel | null {
    const record = this.#store.record(id);
    const isSame = record?.source === now.source && record.files.length === now.files.length &&
      now.files.every((file, i) => isSameFile(file, record.files[i]) && this.#isThere(file));
    return isSame ? this.#describe(id, { ...now, wasThere: true }) : null;
  }

  #isThere({ name, sizeBytes }: StoredFile): boolean {
    try {
      return Deno.statSync(this.#store.finalPath(name)).size === sizeBytes;
    } catch {
      return false;
    }
  }

  async #open(
    name: string,
    { file, facts, isInPlace }: { file: RemoteFile; facts: FileFacts; isInPlace: boolean },
  ): Promise<Part> {
    const path = this.#store.partialPath(name);
    const { pieceBytes, disk, signal, onNotice } = this.#settings;
    const { sizeBytes, sha256, validator } = facts;
    const identity = { sizeBytes, version: sha256 ?? validator };
    const journal = PartialFile.lock(path);
    const isLink = linkAnew(path, isInPlace ? this.#store.finalPath(name) : null);
    const { file: into, wasOther } = await PartialFile.open(
      path,
      { journal, identity, pieceBytes, disk, isWhole: isLink },
      { signal },
    );
    if (wasOther) onNotice?.(`${name} has changed since the last try: beginning again`);
    return { file, facts, name, into, isLink };
  }

  /**
   * Looks at what lies where a file belongs.
   * @returns true when it is that file: a crash may have come between two parts, or another
   *   reference leads to the same.
   * @throws {Error} when it is something else, and no older version from the same source.
   */
  async #isInPlace(
    { name, sizeBytes, sha256 }: StoredFile,
    { source, id }: { source: string; id: string },
  ): Promise<boolean> {
    const path = this.#store.finalPath(name);
    const record = this.#store.record(id);
    const stat = statOf(path);
    if (stat === null) return false;
    const { signal } = this.#settings;
    if (stat.isFile && stat.size === sizeBytes && sha256 !== null) {
      if (await fileSha256(path, { signal }) === sha256) return true;
    }
    if (record?.source === source) return false;
    const from = record === null ? "was not pulled" : `is from ${record.source}`;
    throw new PullError(
      `Cannot pull ${source}: there is another "${name}" already, which ${from}: choose another ` +
        `name with --name, or remove it: ganglion rm ${id}`,
      "in_use",
    );
  }

  async #receive(parts: readonly Part[]): Promise<void> {
    const { folder, disk, onProgress } = this.#settings;
    const totalBytes = parts.reduce((sum, { into }) => sum + into.sizeBytes, 0);
    let doneBytes = parts.reduce((sum, { into }) => sum + into.completeBytes, 0);
    requireRoom(disk, folder, totalBytes - doneBytes);
    onProgress?.({ phase: "pulling", doneBytes, totalBytes });
    const onBytes = (bytes: number) => {
      doneBytes = Math.min(totalBytes, doneBytes + bytes);
      this.#received += bytes;
      onProgress?.({ phase: "pulling", doneBytes, totalBytes });
    };
    for (const { file, facts, into } of parts) {
      await receiveFile(into, { file, facts, options: this.#transfer, onBytes });
    }
  }

  /** @throws {Error} when what came is not what was meant, which is deleted then. */
  async #check(parts: readonly Part[]): Promise<void> {
    const { signal, onProgress } = this.#settings;
    const totalBytes = parts.reduce((sum, { into }) => sum + into.sizeBytes, 0);
    let doneBytes = 0;
    const onRead = (bytes: number) => {
      doneBytes += bytes;
      onProgress?.({ phase: "checking", doneBytes, totalBytes });
    };
    for (const { into, facts: { sha256 }, name } of parts) {
      if (sha256 === null) continue;
      const sum = await into.sha256({ signal, onRead });
      if (sum === sha256) continue;
      into.discard();
      throw new Error(
        `Cannot use "${name}": its SHA-256 is ${sum} and should be ${sha256}: it was damaged or ` +
          "changed on the way, and is deleted: pull it again",
      );
    }
    try {
      openModelFile(parts[0].into.path);
      for (const { file, into } of parts) if (file.isProjector) openModelFile(into.path);
    } catch (error) {
      for (const { into } of parts) into.discard();
      throw error;
    }
  }

  /** The first part, which makes it a model, comes last. */
  async #commit(
    parts: readonly Part[],
    { id, source, files }: { id: string; source: string; files: StoredFile[] },
  ): Promise<void> {
    for (const { into } of parts) await into.sync();
    this.#settings.signal?.throwIfAborted();
    const before = this.#store.record(id);
    try {
      if (parts.length > 1) removeFile(this.#store.finalPath(parts[0].name));
      for (const { into, name, isLink } of parts.toReversed()) {
        Deno.renameSync(into.path, this.#store.finalPath(name));
        // A file that has two names keeps both when one is to become the other.
        if (isLink) removeFile(into.path);
        into.end();
      }
      for (const { name } of before?.files ?? []) {
        // Parts of an older version that had more of them.
        if (splitNumber(name) === null || files.some((file) => file.name === name)) continue;
        if (modelName(name.replace(/-\d{5}-of-/, "-00001-of-")) !== id) continue;
        removeFile(this.#store.finalPath(safeFileName(name)));
      }
    } catch (error) {
      throw explainWriteError(error, this.#store.finalPath(parts[0].name));
    }
    this.#store.keepRecord(id, { source, files, pulledAt: new Date().toISOString() });
  }

  #describe(
    id: string,
    { source, files, wasThere }: {
      source: string;
      files: readonly StoredFile[];
      wasThere: boolean;
    },
  ): PulledModel {
    return {
      ...{ id, source, files, wasThere },
      path: this.#store.finalPath(files[0].name),
      sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      receivedBytes: this.#received,
    };
  }
}

function isSameFile(a: StoredFile, b: StoredFile): boolean {
  const isSame = a.sha256 === null || b.sha256 === null
    ? a.validator !== null && a.validator === b.validator
    : a.sha256 === b.sha256;
  return isSame && a.name === b.name && a.sizeBytes === b.sizeBytes;
}

function only({ sizeBytes, sha256, validator }: FileFacts) {
  return { sizeBytes, sha256, validator };
}

/** Null: nothing lies there. */
function statOf(path: string): Deno.FileInfo | null {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/**
 * Gives the file at `from` a second name, so that it stays where it is until all others have come.
 * A second name of an earlier try is taken away: who writes there would write to that file.
 * @returns false when there is no such file, or the disk has no second names: it comes again.
 */
function linkAnew(path: string, from: string | null): boolean {
  if (from !== null || hasTwoNames(path)) removeFile(path);
  if (from === null) return false;
  try {
    Deno.linkSync(from, path);
    return true;
  } catch {
    return false;
  }
}

function hasTwoNames(path: string): boolean {
  return (statOf(path)?.nlink ?? 1) > 1;
}

function onlyDefined(options: PullOptions): PullOptions {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as unknown as PullOptions;
}
