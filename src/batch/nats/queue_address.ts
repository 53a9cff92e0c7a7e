/** Where a queue is and who asks there: `nats://user:password@host:4222`, several with commas. */
import { UsageError } from "../../base/errors.ts";

/** What `--queue` says. */
export interface QueueAddress {
  /** "host:port", at least one. */
  readonly servers: readonly string[];
  readonly user?: string;
  readonly password?: string;
  /** Instead of a user and a password. */
  readonly token?: string;
  readonly isEncrypted: boolean;
  /** Of a cluster's servers, how many keep what is put there; of streams that are not there yet. */
  readonly replicaCount: number;
}

const PORT = 4222;
/** What JetStream allows. */
const REPLICAS_MAX = 5;

/**
 * Of several servers the first says who asks, whether it is encrypted, and `?replicas=3`.
 * @throws {UsageError} when the text names no NATS server; the message does not repeat secrets.
 */
export function parseQueueAddress(text: string): QueueAddress {
  const urls = text.split(",").map((part) => parseOne(part.trim()));
  const [first] = urls;
  if (urls.some((url) => url.protocol !== first.protocol)) {
    throw refused("all of its servers must be nats:// or all tls://");
  }
  const [user, password] = [first.username, first.password].map(decoded);
  return {
    servers: urls.map((url) => `${url.hostname}:${url.port || PORT}`),
    ...(user === "" ? {} : password === "" ? { token: user } : { user, password }),
    isEncrypted: first.protocol === "tls:",
    replicaCount: replicaCount(urls),
  };
}

function parseOne(text: string): URL {
  const url = URL.parse(text);
  if (url === null || url.hostname === "" || !["nats:", "tls:"].includes(url.protocol)) {
    throw refused("an address such as nats://user:password@host:4222 is needed");
  }
  const isMore = [...url.searchParams.keys()].some((name) => name !== "replicas");
  if (url.pathname.length > 1 || isMore || url.hash !== "") {
    throw refused("nothing but ?replicas=N may follow the host and its port");
  }
  return url;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refused("a user or password has a % that begins no code: write it as %25");
  }
}

function replicaCount(urls: readonly URL[]): number {
  const text = urls.map((url) => url.searchParams.get("replicas")).find((each) => each !== null);
  const count = Number(text ?? 1);
  if (Number.isInteger(count) && count >= 1 && count <= REPLICAS_MAX) return count;
  throw refused(`replicas must be a whole number from 1 to ${REPLICAS_MAX}`);
}

function refused(reason: string): UsageError {
  return new UsageError(`Cannot use --queue: ${reason}`);
}
