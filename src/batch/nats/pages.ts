/** Pages of records whose subjects end with their ids. */
import type { ListOptions, Page } from "../batch_store.ts";
import { inOrder } from "./in_order.ts";
import type { FoundMessage, Messages } from "./messages.ts";
import { token } from "./streams.ts";

/** Records that are asked for at once. */
const WIDTH = 16;

/** Those of the subjects that match `filter`, by their last tokens, which are tokens of ids. */
export async function listPage<T>(
  messages: Messages,
  { filter, after, limit, order = "desc" }: Omit<ListOptions, "owner"> & { filter: string },
  toRecord: (message: FoundMessage) => T,
): Promise<Page<T>> {
  const sorted = (await messages.subjects(filter)).toSorted(byLastToken);
  if (order === "desc") sorted.reverse();
  const bound = after === undefined ? null : token(after);
  const rest = bound === null ? sorted : sorted.filter((each) => {
    const name = lastToken(each);
    return order === "desc" ? name < bound : name > bound;
  });
  const found = inOrder(rest.slice(0, limit), WIDTH, (each) => messages.get(each));
  const items: T[] = [];
  for await (const message of found) if (message !== null) items.push(toRecord(message));
  return { items, hasMore: rest.length > limit };
}

/** By age, since ids sort by it. */
export function byLastToken(a: string, b: string): number {
  const [left, right] = [lastToken(a), lastToken(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

export function lastToken(subject: string): string {
  return subject.slice(subject.lastIndexOf(".") + 1);
}
