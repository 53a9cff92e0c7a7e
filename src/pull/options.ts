/** How a model is pulled: what may be chosen, and what is taken when nobody does. */
import { MiB } from "../base/units.ts";
import { type Disk, SYSTEM_DISK } from "./disk.ts";
import type { RetryOptions } from "./fault.ts";
import type { Web } from "./web.ts";

export interface PullOptions {
  /** Where models lie; made when it is missing. */
  readonly folder: string;
  /** What to call the model instead of its file's name. */
  readonly name?: string;
  /** What the file must sum up to, hexadecimal; of a model in one file. */
  readonly sha256?: string;
  /** Null: none. */
  readonly token?: string | null;
  /** Where repositories are. */
  readonly endpoint?: URL;
  /** Nothing is asked of any server. */
  readonly offline?: boolean;
  /** Requests at once. */
  readonly connections?: number;
  /** How long a server may be silent. */
  readonly stallMs?: number;
  /** Failures in a row that are borne. */
  readonly retries?: number;
  /** The pause after the first failure. */
  readonly retryMs?: number;
  /** What is believed or not when a download goes on. */
  readonly pieceBytes?: number;
  /** The most that one request asks for. */
  readonly spanBytes?: number;
  readonly disk?: Disk;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PullProgress) => void;
  /** Told what people might want to know. */
  readonly onNotice?: (text: string) => void;
}

export interface PullProgress {
  /** "checking": what came is read once more, for its checksum. */
  readonly phase: "pulling" | "checking";
  /** Of all files, what was there before included. */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** What the transfer of one file needs. */
export interface TransferOptions extends RetryOptions {
  readonly web: Web;
  readonly connections: number;
  readonly pieceBytes: number;
  readonly spanBytes: number;
  readonly disk: Disk;
  readonly onNotice?: (text: string) => void;
}

export const DEFAULT_ENDPOINT = new URL("https://huggingface.co");

export const DEFAULTS = {
  token: null,
  endpoint: DEFAULT_ENDPOINT,
  offline: false,
  connections: 4,
  stallMs: 30_000,
  retries: 6,
  retryMs: 500,
  pieceBytes: MiB,
  spanBytes: 64 * MiB,
  disk: SYSTEM_DISK,
} as const satisfies Partial<PullOptions>;
