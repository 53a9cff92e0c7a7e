/**
 * Ideas about the shaders of a decoded token, as changes of their texts, for gpu_variants.ts: what
 * can be tried in one call on a lent card. Made for codes of 4 bits with f16 scales, one token.
 * What came of them stands in NOTES.md, "The H100 a third time".
 */

/** Values of a shader's `override`s. */
export type Numbers = Readonly<Record<string, number>>;

export interface Idea {
  readonly name: string;
  /** Beginning of the names of its kernels; empty: of all. */
  readonly kernels: string;
  /** Null: not for such a dispatch. */
  readonly change: (text: string, constants: Numbers, kernel: string) => Changed | null;
}

interface Changed {
  readonly text: string;
  readonly constants?: Numbers;
  /** Workgroups along z as a share of what they are. */
  readonly depth?: number;
}

/** Rows of a workgroup of each job: gpu/row_lanes.ts. */
const ROWS: Readonly<Record<string, number>> = { heads: 4, gated: 32, joined: 32 };
const JOBS = ["heads", "gated", "joined"] as const;

export function listIdeas(): Idea[] {
  return [
    ...JOBS.flatMap(ideasOf),
    ...[2, 4].map(longerChunks),
    plainChunks(),
    ...ideasOfAll(),
  ];
}

/** What is worth something in one product, in all of a token at once. */
function ideasOfAll(): Idea[] {
  return [
    ...[16, 24, 32, 48].map(sameMemory),
    together("read and do not compute", memoryAlone),
    together("compute, from the cache", fromCache),
    together("offsets within the integers' sums", integerOffsets),
    ...[4, 32].map((rows) => {
      return together(`rows side by side by ${rows}`, (text, { SIDE }) => tiles(text, rows, SIDE));
    }),
    ...[0, 1, 2].map((nth): Idea => {
      const own = JOBS.map((job) => unrolledIdeas(job)[nth]);
      return {
        name: `all products: written out, the ${nth + 1}. of each`,
        kernels: "",
        change: (text, constants, kernel) => {
          const idea = own[JOBS.findIndex((job) => kernel.startsWith(`${job}_`))];
          return idea?.change(text, constants, kernel) ?? null;
        },
      };
    }),
  ];
}

function together(what: string, change: (text: string, constants: Numbers) => string): Idea {
  return {
    name: `all products: ${what}`,
    kernels: "",
    change: (text, constants, kernel) =>
      JOBS.some((job) => kernel.startsWith(`${job}_int8`))
        ? { text: change(text, constants) }
        : null,
  };
}

/** Where the last workgroups end attention: others' chunks read as if they could be so. */
function plainChunks(): Idea {
  return {
    name: "attention by its last workgroups: chunks without atomics",
    kernels: "attention_last",
    change: (text) => {
      const plain = replace(text, "chunks: array<atomic<u32>>", "chunks: array<u32>");
      const read = replace(plain, /atomicLoad\(&(chunks\[[^\]]*\])\)/g, "$1");
      return { text: replace(read, /atomicStore\(&(chunks\[[^\]]*\]), (.*?)\);/g, "$1 = $2;") };
    },
  };
}

function ideasOf(job: typeof JOBS[number]): Idea[] {
  return [
    ideaOf(job, "reads and does not compute", memoryAlone),
    ideaOf(job, "computes, from the cache", fromCache),
    ideaOf(job, "offsets within the integers' sums", integerOffsets),
    ...[2048, 4096, 8192].map((words) => {
      return ideaOf(job, `${4 * words} bytes of workgroup memory more`, (text) => pad(text, words));
    }),
    ...[4, 32].map((rows) => ({
      name: `${job}: rows side by side by ${rows}`,
      kernels: job,
      change: (text: string, { SIDE }: Numbers) => ({ text: tiles(text, rows, SIDE) }),
    })),
    ...unrolledIdeas(job),
  ];
}

/** Fewer chunks, each of more positions: less to combine. */
function longerChunks(times: number): Idea {
  return {
    name: `attention: chunks ${times} times as long`,
    kernels: "attention_",
    change: (text, { CHUNK, CHUNKS }) => ({
      text,
      constants: { CHUNK: CHUNK * times, CHUNKS: Math.ceil(CHUNKS / times) },
      depth: 1 / times,
    }),
  };
}

function ideaOf(job: string, what: string, change: (text: string) => string): Idea {
  return { name: `${job}: ${what}`, kernels: job, change: (text) => ({ text: change(text) }) };
}

/** @throws {Error} when the shader is not the one that the idea was about. */
function replace(text: string, from: string | RegExp, to: string): string {
  const changed = text.replaceAll(from, to);
  if (changed === text) throw new Error(`No shader with ${from}: the idea is out of date`);
  return changed;
}

// --- what it is bound by -----------------------------------------------------------------------

const PRODUCT = /fn productOf\([^]*?\n\}\n/g;
const PRODUCT_HEAD = "fn productOf(w: Weights, factors: vec4<f32>, inputs: Inputs) -> f32 {\n";

function memoryAlone(text: string): string {
  return replace(
    text,
    PRODUCT,
    `${PRODUCT_HEAD}  let a = w.low ^ (w.high << vec4(4u));
  return bitcast<f32>(a.x ^ a.y ^ a.z ^ a.w) + factors.x;
}
`,
  );
}

function fromCache(text: string): string {
  const near = replace(text, "let words = codes[at];", "let words = codes[at & 4095u];");
  return replace(near, "groups[group >> 1u]", "groups[(group >> 1u) & 2047u]");
}

/** −8 · (sum of bytes) is where the sum begins: who writes inputs would leave it as an integer. */
function integerOffsets(text: string): string {
  const dots = [..."xyzw"].map((c) =>
    `  low = dot4I8Packed(w.low.${c}, inputs.low.${c}) + low;
  high = dot4I8Packed(w.high.${c}, inputs.high.${c}) + high;
`
  );
  return replace(
    text,
    PRODUCT,
    `${PRODUCT_HEAD}  var low = bitcast<i32>(inputs.known.y);
  var high = 0;
${dots.join("")}  return factors.x * inputs.known.x * f32(low + high);
}
`,
  );
}

/** Where all kernels take as much, a core need not divide its memory anew between them. */
function sameMemory(kib: number): Idea {
  return {
    name: `all kernels: ${kib} KiB of workgroup memory each`,
    kernels: "",
    change: (text, constants) => {
      const words = Math.floor((1024 * kib - workgroupBytesOf(text, constants)) / 4);
      const padded = words < 4 ? null : padMain(text, words);
      return padded === null ? null : { text: padded };
    },
  };
}

const ELEMENT_BYTES: Readonly<Record<string, number>> = {
  ...{ "vec4<f32>": 16, "vec4<u32>": 16, "vec2<f32>": 8, "vec2<u32>": 8 },
};

/** Of all variables of a workgroup, as if all of them were used. */
export function workgroupBytesOf(text: string, constants: Numbers): number {
  const lengthOf = (name: string) => {
    const declared = new RegExp(`^(?:override|const) ${name}\\b.*?= (\\d+)u?;`, "m").exec(text);
    return /^\d/.test(name) ? parseInt(name) : constants[name] ?? Number(declared?.[1] ?? 1);
  };
  const variables = text.matchAll(/var<workgroup> \w+: (?:array<(.*), (\w+)>|\S+);/g);
  return [...variables].reduce((sum, [, element, length]) => {
    const bytes = element === undefined ? 4 : ELEMENT_BYTES[element] ?? 4;
    return sum + bytes * (length === undefined ? 1 : lengthOf(length));
  }, 0);
}

/** So many words more, which no compiler can leave out; null: not of such an entry. */
function padMain(text: string, words: number): string | null {
  const main = /fn main\([^]*?\) \{\n/.exec(text)?.[0] ?? "";
  const group = /workgroup_id\) (\w+)/.exec(main)?.[1];
  const target = /var<storage, read_write> (\w+): array<(f32|u32|vec4<f32>)>/.exec(text);
  if (group === undefined || target === null || !main.includes(" lane: u32")) return null;
  const [, name, type] = target;
  return `${
    text.replace(
      main,
      `${main}  if (${group}.x == 77777u) {
    padding[lane] = ${group}.y;
    workgroupBarrier();
    ${name}[padding[lane + 1u]] = ${type}();
    return;
  }
`,
    )
  }\nvar<workgroup> padding: array<u32, ${words}>;\n`;
}

function pad(text: string, words: number): string {
  const used = replace(
    text,
    /(fn run\(.*\{\n)/g,
    "$1  if (step.tokens == 77777u) { padding[lane] = place; workgroupBarrier(); to[size] = " +
      "f32(padding[size]); }\n",
  );
  return `${used}\nvar<workgroup> padding: array<u32, ${words}>;\n`;
}

// --- how weights lie -----------------------------------------------------------------------------

/** As if `rows` rows lay side by side, `side` pieces of each in turn. */
function tiles(text: string, rows: number, side: number): string {
  let changed = replace(text, /(\w+) \* ROW_PIECES/g, "startOf($1)");
  for (const name of ["weightsAt", "factorsOfHalves"]) {
    changed = replace(changed, `${name}(start + piece)`, `${name}(start + placeOfPiece(piece))`);
    for (const half of ["A", "B"]) {
      for (const at of ["piece", "next"]) {
        const from = `${name}(start${half} + ${at})`;
        changed = replace(changed, from, `${name}(start${half} + placeOfPiece(${at}))`);
      }
    }
  }
  changed = replace(
    changed,
    /start \+ min\((piece \+ .*?), end\)/g,
    "start + placeOfPiece(min($1, end))",
  );
  return `${changed}
const HIGH = ${rows}u;
const WIDE = ${side}u;
fn startOf(row: u32) -> u32 { return row / HIGH * (HIGH * ROW_PIECES) + row % HIGH * WIDE; }
fn placeOfPiece(piece: u32) -> u32 { return piece / WIDE * (HIGH * WIDE) + piece % WIDE; }
`;
}

// --- loops written out, weights asked for ahead --------------------------------------------------

const RAW = `
struct Raw { codes: vec4<u32>, group: u32 }
fn rawAt(at: u32) -> Raw { return Raw(codes[at], groups[at >> 1u]); }
fn rawProduct(raw: Raw, at: u32, inputs: Inputs) -> f32 {
  let low = dots(raw.codes & vec4(0x0F0F0F0Fu), inputs.low);
  let high = dots((raw.codes >> vec4(4u)) & vec4(0x0F0F0F0Fu), inputs.high);
  let both = unpack2x16float(raw.group);
  let scale = select(both.x, both.y, (at & 1u) == 1u);
  let known = inputs.known;
  return scale * (known.x * f32(low + high)) - MIDDLE * scale * (known.y + known.z);
}
`;

/** Invocations of a row, of these neighbours; pieces under way. */
const UNROLLED: Readonly<Record<string, readonly (readonly [number, number, number])[]>> = {
  heads: [[32, 8, 4], [32, 32, 4], [16, 8, 8]],
  gated: [[8, 8, 2], [8, 8, 8], [16, 16, 3], [16, 8, 2]],
  joined: [[16, 16, 2], [16, 16, 4], [16, 8, 4], [32, 16, 4], [32, 32, 2]],
};

function unrolledIdeas(job: string): Idea[] {
  return UNROLLED[job].map(([lanes, side, depth]) => ({
    name: `${job}: written out, ${lanes} a row, ${side} neighbours, ${depth} pieces ahead`,
    kernels: job,
    change: (text, { PIECES }) => {
      if (PIECES % lanes !== 0 || depth > PIECES / lanes) return null;
      const own = { count: PIECES / lanes, lanes, depth };
      const changed = job === "gated" ? unrolledPair(text, own) : unrolled(text, own);
      const constants = { ROW_LANES: lanes, SIDE: side, LANES: ROWS[job] * lanes };
      return { text: changed + RAW, constants };
    },
  }));
}

interface Unrolled {
  /** Pieces of an invocation. */
  readonly count: number;
  readonly lanes: number;
  /** Pieces that are asked for before they are needed. */
  readonly depth: number;
}

/** Loads come before the inputs are copied, then one for each product. */
function steps(
  { count, depth }: Unrolled,
  load: (i: number) => string,
  multiply: (i: number) => string,
): string {
  const numbers = Array.from({ length: count }, (_, i) => i);
  return [
    ...numbers.slice(0, depth).map(load),
    "gatherSquares(first, last, lane);",
    "prepare(first, lane);",
    ...numbers.flatMap((i) => [i + depth < count ? load(i + depth) : "", multiply(i)]),
  ].join("\n");
}

function unrolled(text: string, own: Unrolled): string {
  const body = steps(
    own,
    (i) => `let r${i} = rawAt(at + ${i * own.lanes}u);`,
    (i) => {
      const far = `${i * own.lanes}u`;
      return `sum${i % 2} += rawProduct(r${i}, at + ${far}, rowAt(first, slot + ${far}));`;
    },
  );
  return replace(
    text.replace("  gatherSquares(first, last, lane);\n", ""),
    "let mine = sumsFrom(row * ROW_PIECES, first, last, lane);",
    `let slot = slotOf(lane);
let at = row * ROW_PIECES + slot;
var sum0 = 0.0;
var sum1 = 0.0;
${body}
let mine = Sums(vec4(sum0 + sum1, 0.0, 0.0, 0.0), vec4(0.0));`,
  );
}

function unrolledPair(text: string, own: Unrolled): string {
  const body = steps(
    own,
    (i) => {
      const far = `${i * own.lanes}u`;
      return `let a${i} = rawAt(atA + ${far});\nlet b${i} = rawAt(atB + ${far});`;
    },
    (i) => {
      const far = `${i * own.lanes}u`;
      return `let x${i} = rowAt(first, slot + ${far});
sumA += rawProduct(a${i}, atA + ${far}, x${i});
sumB += rawProduct(b${i}, atB + ${far}, x${i});`;
    },
  );
  return replace(
    text.replace("  gatherSquares(first, last, lane);\n", ""),
    /if \(IS_GATED\) \{ mine = pairSums[^]*?else \{ mine\.b = [^]*?\}\n/g,
    `let slot = slotOf(lane);
let atA = gateRow * ROW_PIECES + slot;
let atB = upRow * ROW_PIECES + slot;
var sumA = 0.0;
var sumB = 0.0;
${body}
mine.a.low.x = sumA;
mine.b.low.x = sumB;
`,
  );
}
