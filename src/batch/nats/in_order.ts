/** Work on a sequence, several items at a time, with results in the sequence's order. */

/**
 * What `work` makes of each item; `width` are under way at once, and no more are read ahead.
 * @throws whatever `items` or `work` throw, the earliest first; what is under way is left alone.
 */
export async function* inOrder<T, Result>(
  items: AsyncIterable<T> | Iterable<T>,
  width: number,
  work: (item: T) => Promise<Result>,
): AsyncGenerator<Result> {
  const underWay: Promise<Result>[] = [];
  for await (const item of items) {
    const result = work(item);
    // Its failure is heard of when its turn comes, which may be later, or never.
    result.catch(() => {});
    underWay.push(result);
    if (underWay.length >= width) yield await underWay.shift()!;
  }
  for (const result of underWay) yield await result;
}

/** The same for work without results. */
export async function forEachOf<T>(
  items: AsyncIterable<T> | Iterable<T>,
  width: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  for await (const _ of inOrder(items, width, work));
}
