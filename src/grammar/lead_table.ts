/**
 * What of some leads a free text has come to, byte by byte: positions in all of them at once, made
 * one state each as they are met (Rabin and Scott 1959). Knows nothing of what leads lead to.
 */

/** Where a byte goes: to another node, or to the end of a lead. */
export type LeadTarget = { readonly node: number } | { readonly lead: number };

export interface LeadNode {
  /** By byte. */
  readonly targets: ReadonlyMap<number, LeadTarget>;
  /** The node of all other bytes. */
  readonly other: number;
}

/** What JSON has between its parts. */
const BLANKS = [0x20, 0x09, 0x0a, 0x0d];

/**
 * The nodes of a text that may have these leads; the first one is its beginning.
 * @param isAtStart leads count at the beginning only.
 * @param onNode called before each node is made: it may throw where they are too many.
 */
export function leadTable(
  leads: readonly (readonly (number | null)[])[],
  isAtStart: boolean,
  onNode: () => void,
): LeadNode[] {
  const walk = new Walk(leads);
  const start = walk.closed(leads.map((_, lead) => ({ lead, at: 0 })));
  const again = isAtStart ? [] : start;
  const numbers = new Map<string, number>();
  const waiting: (readonly Position[])[] = [];
  const nodeOf = (positions: readonly Position[]): number => {
    const key = positions.map(({ lead, at }) => `${lead}:${at}`).join();
    const known = numbers.get(key);
    if (known !== undefined) return known;
    onNode();
    numbers.set(key, waiting.length);
    return waiting.push(positions) - 1;
  };
  nodeOf(start);
  const nodes: LeadNode[] = [];
  for (const positions of waiting) {
    const targets = new Map<number, LeadTarget>();
    for (const byte of walk.bytesAt(positions)) {
      const next = walk.closed([...walk.behind(positions, byte), ...again]);
      const whole = next.find(({ lead, at }) => at === leads[lead].length);
      targets.set(byte, whole ? { lead: whole.lead } : { node: nodeOf(next) });
    }
    nodes.push({ targets, other: nodeOf(again) });
  }
  return nodes;
}

interface Position {
  readonly lead: number;
  /** Items of the lead that have been read. */
  readonly at: number;
}

class Walk {
  readonly #leads: readonly (readonly (number | null)[])[];

  constructor(leads: readonly (readonly (number | null)[])[]) {
    this.#leads = leads;
  }

  /** With those behind blanks, which may be none; each once, in order. */
  closed(positions: readonly Position[]): Position[] {
    const all = positions.flatMap(({ lead, at }) => {
      let last = at;
      while (this.#leads[lead][last] === null) last++;
      return Array.from({ length: last - at + 1 }, (_, i) => ({ lead, at: at + i }));
    });
    const byKey = new Map(all.map((each) => [each.lead * 4096 + each.at, each]));
    return [...byKey].sort(([a], [b]) => a - b).map(([, position]) => position);
  }

  /** Bytes that some lead goes on with. */
  bytesAt(positions: readonly Position[]): Set<number> {
    return new Set(positions.flatMap(({ lead, at }) => {
      const item = this.#leads[lead][at];
      return item === null ? BLANKS : item === undefined ? [] : [item];
    }));
  }

  behind(positions: readonly Position[], byte: number): Position[] {
    return positions.flatMap(({ lead, at }) => {
      const item = this.#leads[lead][at];
      if (item === null) return BLANKS.includes(byte) ? [{ lead, at }] : [];
      return item === byte ? [{ lead, at: at + 1 }] : [];
    });
  }
}
