/**
 * The key by which a proxy keeps a conversation on the replica that has its keys and values:
 * accepted with a request, returned with its answer. Knows nothing of proxies.
 */
import { createHash } from "node:crypto";

/** The header's name, both ways. */
const PREFIX_KEY_HEADER = "x-prefix-key";

/** What a header may hold, and a proxy hash, without being a trick. */
const HARMLESS = /^[\w.:-]{1,128}$/;
const BLOCK_IDS = 32;
/** What follows them belongs to one conversation, and not to all that begin alike. */
const BLOCKS_MAX = 8;

/**
 * The request's own key; else its `prompt_cache_key`; else a hash of the prompt's first blocks. A
 * client that sends back what it got stays where its conversation is.
 */
export function prefixKeyOf(
  request: Request,
  of: { readonly cacheKey?: string; readonly ids: readonly number[] },
): string {
  const given = request.headers.get(PREFIX_KEY_HEADER);
  if (given !== null && HARMLESS.test(given)) return given;
  const { cacheKey, ids } = of;
  if (cacheKey) return HARMLESS.test(cacheKey) ? cacheKey : hash(cacheKey);
  const whole = ids.length - ids.length % BLOCK_IDS;
  const count = Math.min(whole === 0 ? ids.length : whole, BLOCKS_MAX * BLOCK_IDS);
  return hash(ids.slice(0, count).join());
}

/** Gives an answer the key of its request. */
export function withPrefixKey(
  response: Response,
  request: Request,
  of: { readonly cacheKey?: string; readonly ids: readonly number[] },
): Response {
  response.headers.set(PREFIX_KEY_HEADER, prefixKeyOf(request, of));
  return response;
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
