/**
 * What may be pulled, as people write it: `hf:user/repo:QUANT`, or the address of a file. And names
 * of files, which come from outside and must not lead anywhere. Pure.
 */
import { UsageError } from "../base/errors.ts";

/** Files of a repository on Hugging Face, or on what HF_ENDPOINT names. */
export interface HubReference {
  readonly kind: "hub";
  /** "user/repo". */
  readonly repo: string;
  /** A quantisation such as "Q4_K_M", or a file; null: whatever is usual. */
  readonly choice: string | null;
}

export interface UrlReference {
  readonly kind: "url";
  readonly url: URL;
}

export type PullReference = HubReference | UrlReference;

const HUB = /^(?:hf:|(?:https:\/\/)?(?:hf\.co|huggingface\.co)\/)([^:]*)(?::(.*))?$/;
const REPO = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/;
const CHOICE = /^[A-Za-z0-9][\w.+-]*(\/[A-Za-z0-9][\w.+-]*)*$/;

/** True for a text that means something to be fetched, right or wrong. */
export function isReference(text: string): boolean {
  return /^(hf:|hf\.co\/|huggingface\.co\/|https?:)/.test(text);
}

/** @throws {UsageError} when `text` is nothing that can be pulled. */
export function parseReference(text: string): PullReference {
  const hub = HUB.exec(text);
  // A file's page on the hub has more after its repository: it is an address.
  if (hub !== null && !/^https:\/\/[^/]*\/[^/]*\/[^/]*\//.test(text)) return parseHub(text, hub);
  if (/^https?:/.test(text)) return { kind: "url", url: parseUrl(text) };
  throw new UsageError(
    `Cannot pull ${quote(text)}: give hf:user/repo:QUANT, or the https address of a .gguf file`,
  );
}

/** The reference as it is kept, without what may be secret: a query. */
export function sourceOf(reference: PullReference): string {
  if (reference.kind === "url") return reference.url.origin + reference.url.pathname;
  const { repo, choice } = reference;
  return `hf:${repo}${choice === null ? "" : `:${choice}`}`;
}

function parseHub(text: string, [, repo, choice = null]: (string | null)[]): HubReference {
  const isSound = REPO.test(repo ?? "") && !repo?.includes("..") &&
    (choice === null || choice.length <= 200 && CHOICE.test(choice) && !choice.includes(".."));
  if (isSound) return { kind: "hub", repo: repo ?? "", choice };
  throw new UsageError(
    `Cannot pull ${quote(text)}: it is not of the form hf:user/repo:QUANT, such as ` +
      "hf:TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF:Q4_K_M",
  );
}

function parseUrl(text: string): URL {
  if (!URL.canParse(text)) throw new UsageError(`Cannot pull ${quote(text)}: it is no address`);
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") {
    throw new UsageError(
      `Cannot pull from ${url.host}: a password in an address would be seen by others: leave it ` +
        "out, download the file yourself and give its path",
    );
  }
  url.hash = "";
  return url;
}

/** Letters of any script, digits, and marks that mean nothing to any system. */
const FILE_NAME = /^[\p{L}\p{N}_][\p{L}\p{N}_.+@()[\] -]*\.(gguf|ganglion)$/iu;
const FILE_NAME_BYTES_MAX = 200;
/** Names that Windows keeps for devices. */
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)\./i;

/**
 * The last part of a path from outside, as the name of a file in the store.
 * @throws {UsageError} when it is no name of a model file.
 */
export function safeFileName(path: string): string {
  const name = path.replace(/^.*\//, "");
  const isSafe = FILE_NAME.test(name) && !DEVICE.test(name) &&
    new TextEncoder().encode(name).length <= FILE_NAME_BYTES_MAX;
  if (isSafe) return name;
  throw new UsageError(
    `Cannot keep a file named ${quote(name)}: a model's name ends in .gguf or .ganglion, has at ` +
      "most 200 bytes, letters, digits and . _ - + only: choose one with --name",
  );
}

/** The name that `--name` gives a file which would be called `fileName` without. */
export function renamed(fileName: string, name: string): string {
  const [, part = "", extension] = /(-\d{5}-of-\d{5})?(\.[a-z]+)$/i.exec(fileName) ?? ["", "", ""];
  return safeFileName(name.replace(/[\\/]/g, "?") + part + extension);
}

/** The end of a split file's name: its number, and of how many. */
export function splitNumber(name: string): { index: number; count: number; stem: string } | null {
  const match = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i.exec(name);
  return match && { stem: match[1], index: Number(match[2]), count: Number(match[3]) };
}

/** A text from outside in a message: short, on one line. */
export function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200).toWellFormed());
}
