/**
 * All tokens of a vocabulary by their bytes, as a tree in the order of a walk through it: a node's
 * children follow it, and whoever does not want them skips to its end. Knows nothing of grammars.
 */

/** A vocabulary's bytes as they are sent to another thread. */
export interface VocabularyBytes {
  /** Ids that logits are of, at least as many as there are tokens. */
  readonly vocabSize: number;
  /** Bytes of all tokens, one after the other; markers as `markerBytes` has them. */
  readonly bytes: Uint8Array;
  /** [tokens + 1] */
  readonly offsets: Uint32Array;
  /** Ids that end an answer; they are in no grammar. */
  readonly endIds: readonly number[];
}

export interface TokenTrie {
  readonly source: VocabularyBytes;
  readonly nodeCount: number;
  /** By node: its byte, its depth (1 is a token's first byte), and where its descendants end. */
  readonly bytes: Uint8Array;
  readonly depths: Uint16Array;
  readonly ends: Int32Array;
  /** [nodes + 1]: where a node's tokens are among `tokens`. */
  readonly tokenStarts: Int32Array;
  readonly tokens: Int32Array;
  /** Bytes of the longest token. */
  readonly depthMax: number;
}

/** What a marker's bytes begin with: UTF-8 has no such byte, so no text is taken for a marker. */
export const MARKER_BYTE = 0xff;

/** The bytes of a token that marks something and is no text itself, by how it is spelt. */
export function markerBytes(name: string): Uint8Array {
  return Uint8Array.of(MARKER_BYTE, ...new TextEncoder().encode(name));
}

/** Longer tokens are left out: no grammar allows them. */
const TOKEN_BYTES_MAX = 4096;

/** The tree of a vocabulary. Takes about a second per million tokens. */
export function buildTokenTrie(source: VocabularyBytes): TokenTrie {
  const { bytes, offsets } = source;
  const ends = new Set(source.endIds);
  const ids: number[] = [];
  for (let id = 0; id + 1 < offsets.length; id++) {
    const length = offsets[id + 1] - offsets[id];
    if (length === 0 || length > TOKEN_BYTES_MAX || ends.has(id)) continue;
    ids.push(id);
  }
  const sorted = sortedByBytes(ids, source);
  let nodeCount = 0;
  let depthMax = 0;
  forEachWithShared(sorted, source, (id, shared) => {
    nodeCount += offsets[id + 1] - offsets[id] - shared;
    depthMax = Math.max(depthMax, offsets[id + 1] - offsets[id]);
  });
  const trie = {
    source,
    nodeCount,
    bytes: new Uint8Array(nodeCount),
    depths: new Uint16Array(nodeCount),
    ends: new Int32Array(nodeCount),
    tokenStarts: new Int32Array(nodeCount + 1),
    tokens: Int32Array.from(sorted),
    depthMax,
  };
  /** Nodes from the root to the current one. */
  const path: number[] = [];
  let node = 0;
  let count = 0;
  forEachWithShared(sorted, source, (id, shared) => {
    while (path.length > shared) trie.ends[path.pop()!] = node;
    for (let at = offsets[id] + shared; at < offsets[id + 1]; at++) {
      trie.bytes[node] = bytes[at];
      trie.depths[node] = path.push(node);
      trie.tokenStarts[node++] = count;
    }
    count++;
  });
  while (path.length > 0) trie.ends[path.pop()!] = node;
  trie.tokenStarts[node] = count;
  return trie;
}

/** Calls with each id and how many bytes it has in common with the one before it. */
function forEachWithShared(
  sorted: Uint32Array,
  { bytes, offsets }: VocabularyBytes,
  call: (id: number, shared: number) => void,
): void {
  let before = -1;
  for (const id of sorted) {
    let shared = 0;
    if (before >= 0) {
      const most = Math.min(
        offsets[before + 1] - offsets[before],
        offsets[id + 1] - offsets[id],
      );
      while (shared < most && bytes[offsets[before] + shared] === bytes[offsets[id] + shared]) {
        shared++;
      }
    }
    call(id, shared);
    before = id;
  }
}

/** Ids in the order of their bytes, the shorter first, equal ones by id. */
function sortedByBytes(ids: readonly number[], source: VocabularyBytes): Uint32Array {
  const { bytes, offsets } = source;
  // The first six bytes as a number decide nearly always.
  const keys = new Float64Array(offsets.length);
  for (const id of ids) {
    let key = 0;
    for (let i = 0; i < 6; i++) {
      const at = offsets[id] + i;
      key = 256 * key + (at < offsets[id + 1] ? bytes[at] : 0);
    }
    keys[id] = key;
  }
  return Uint32Array.from(ids).sort((a, b) => {
    const difference = keys[a] - keys[b];
    return difference !== 0 ? difference : compareBytes(source, a, b);
  });
}

function compareBytes({ bytes, offsets }: VocabularyBytes, a: number, b: number): number {
  const lengthA = offsets[a + 1] - offsets[a];
  const lengthB = offsets[b + 1] - offsets[b];
  for (let i = 0; i < lengthA && i < lengthB; i++) {
    const difference = bytes[offsets[a] + i] - bytes[offsets[b] + i];
    if (difference !== 0) return difference;
  }
  return lengthA - lengthB || a - b;
}
