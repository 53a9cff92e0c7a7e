/** Pages of rows that are sorted by id. */
import type { ListOptions, Page } from "../batch_store.ts";

/** SQL of one row more than the page has: it tells whether there are more. */
export function sortedAfter({ owner, after, limit, order = "desc" }: ListOptions) {
  const isDown = order === "desc";
  return {
    where: `owner = ? AND (? IS NULL OR id ${isDown ? "<" : ">"} ?)`,
    values: [owner, after ?? null, after ?? null],
    tail: `ORDER BY id ${isDown ? "DESC" : "ASC"} LIMIT ${Math.trunc(limit) + 1}`,
  };
}

export function pageOf<T>(items: readonly T[], limit: number): Page<T> {
  return { items: items.slice(0, limit), hasMore: items.length > limit };
}
