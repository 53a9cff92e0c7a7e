/**
 * Compiles wasm/assembly to wasm/kernels.wasm, and writes down of what and with which loops.
 *
 *   deno run -A wasm/build.ts           write kernels.wasm and kernels.json
 *   deno run -A wasm/build.ts --check   exit 1 when one of both files is not what comes out
 *   deno run -A wasm/build.ts --text    print the module as text
 */
import asc, { version } from "assemblyscript/asc";
import { dirname, normalize } from "node:path/posix";
import { fileURLToPath } from "node:url";
import { type FunctionLoops, loopsOf } from "./hot_loops.ts";

const WASM_URL = new URL("./kernels.wasm", import.meta.url);
const RECORD_URL = new URL("./kernels.json", import.meta.url);
const ENTRY_PATH = fileURLToPath(new URL("./assembly/index.ts", import.meta.url));
const ROOT_PATH = fileURLToPath(new URL("..", import.meta.url));

/** 65536 pages of 64 KiB: what a 32-bit memory can have. */
const MAXIMUM_PAGES = "65536";

// deno-fmt-ignore
const OPTIONS = [
  "-O3", "--noAssert", "--runtime", "stub", "--enable", "simd,relaxed-simd,threads",
  "--importMemory", "--sharedMemory", "--initialMemory", "1", "--maximumMemory", MAXIMUM_PAGES,
  "--noExportMemory",
];

/** What a build writes down beside kernels.wasm: to compile it again takes half a minute. */
export interface KernelsRecord {
  /** SHA-256 of all sources, the compiler's version and its options. */
  readonly sources: string;
  /** SHA-256 of kernels.wasm. */
  readonly binary: string;
  /** SHA-256 of `functions`: nobody but the build has counted. */
  readonly loops: string;
  readonly functions: Readonly<Record<string, FunctionLoops>>;
}

/** SHA-256 of what kernels.wasm is made of: `kernelSources()`, compiler, options. */
export async function sourcesHash(): Promise<string> {
  const files = kernelSources().map((path) => [path, Deno.readTextFileSync(ROOT_PATH + path)]);
  return await hashOf(new TextEncoder().encode(JSON.stringify([version, OPTIONS, files])));
}

/** Paths of the entry and of all that is imported from there on: some lies in src/memory. */
export function kernelSources(): readonly string[] {
  const paths = new Set([relative(ENTRY_PATH)]);
  for (const path of paths) { // those that are added meanwhile, too
    const text = Deno.readTextFileSync(ROOT_PATH + path);
    for (const [, name] of text.matchAll(/ from "(\.[^"]*)"/g)) {
      paths.add(normalize(`${dirname(path)}/${name}.ts`));
    }
  }
  return [...paths].sort();
}

/** SHA-256, in hexadecimal digits. */
export async function hashOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** What is written down of compiled kernels. */
export async function recordOf(
  { binary, text }: { readonly binary: Uint8Array<ArrayBuffer>; readonly text: string },
): Promise<KernelsRecord> {
  const functions = loopsOf(text);
  const hashes = { sources: await sourcesHash(), binary: await hashOf(binary) };
  return { ...hashes, loops: await loopsHash(functions), functions };
}

/** SHA-256 of what is counted in loops. */
export async function loopsHash(functions: KernelsRecord["functions"]): Promise<string> {
  return await hashOf(new TextEncoder().encode(JSON.stringify(functions)));
}

/** JSON with a line for each function: changes of some are few lines. */
function writeRecord({ functions, ...hashes }: KernelsRecord): string {
  const lines = (all: object) =>
    Object.entries(all).map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`)
      .join(",\n");
  return `{\n${lines(hashes)},\n"functions": {\n${lines(functions)}\n}\n}\n`;
}

/** What was written down when kernels.wasm was made. */
export async function readRecord(): Promise<KernelsRecord> {
  return JSON.parse(await Deno.readTextFile(RECORD_URL));
}

/**
 * The compiled kernels, or those of another entry, binary and text, and paths of what was read.
 * @throws {Error} with the compiler's messages.
 */
export async function compileKernels(
  entry = relative(ENTRY_PATH),
): Promise<{ binary: Uint8Array<ArrayBuffer>; text: string; sources: readonly string[] }> {
  const read = new Set<string>();
  let binary = new Uint8Array();
  let text = "";
  const { error, stderr } = await asc.main(
    [entry, "--baseDir", ".", "-o", "out.wasm", "-t", "out.wat", ...OPTIONS],
    {
      readFile(name: string, baseDir: string): string | null {
        try {
          const source = Deno.readTextFileSync(`${ROOT_PATH}${baseDir}/${name}`);
          read.add(normalize(name));
          return source;
        } catch {
          return null;
        }
      },
      writeFile(name: string, contents: Uint8Array | string): void {
        if (contents instanceof Uint8Array) binary = new Uint8Array(contents);
        else if (name.endsWith(".wat")) text = contents;
      },
      listFiles: () => null,
    },
  );
  if (error) throw new Error(`Cannot compile the kernels: ${error.message}\n${stderr.toString()}`);
  return { binary, text, sources: [...read].sort() };
}

function relative(path: string): string {
  return path.slice(ROOT_PATH.length);
}

/** Which of the committed files are not what comes out. */
async function staleFiles(binary: Uint8Array<ArrayBuffer>, record: string): Promise<string[]> {
  const bytes = await Deno.readFile(WASM_URL).catch(() => new Uint8Array());
  const text = await Deno.readTextFile(RECORD_URL).catch(() => "");
  return [
    ...await hashOf(bytes) === await hashOf(binary) ? [] : ["wasm/kernels.wasm"],
    ...text === record ? [] : ["wasm/kernels.json"],
  ];
}

if (import.meta.main) {
  const { binary, text } = await compileKernels();
  const record = writeRecord(await recordOf({ binary, text }));
  if (Deno.args.includes("--text")) {
    console.log(text);
  } else if (Deno.args.includes("--check")) {
    for (const path of await staleFiles(binary, record)) {
      console.error(`${path} is stale: run \`deno task build:wasm\` and commit it`);
      Deno.exitCode = 1;
    }
  } else {
    await Deno.writeFile(WASM_URL, binary);
    await Deno.writeTextFile(RECORD_URL, record);
    console.log(`wasm/kernels.wasm: ${binary.length} bytes`);
  }
}
