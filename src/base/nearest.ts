/** The word that somebody may have meant. */

/** The one of `words` that differs least from `word`; null: none is near. */
export function nearest(word: string, words: readonly string[]): string | null {
  const wanted = word.toLowerCase();
  const most = Math.max(2, Math.floor(word.length / 3));
  let best: { word: string; distance: number } | null = null;
  for (const each of words) {
    const name = each.toLowerCase();
    const distance = name.startsWith(wanted) && wanted !== "" ? 0.5 : editDistance(wanted, name);
    if (distance <= most && (best === null || distance < best.distance)) {
      best = { word: each, distance };
    }
  }
  return best?.word ?? null;
}

/** Letters to insert, delete or replace (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
