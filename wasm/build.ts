/**
 * Compiles wasm/assembly to wasm/kernels.wasm.
 *
 *   deno run -A wasm/build.ts           write kernels.wasm
 *   deno run -A wasm/build.ts --check   exit 1 when the committed file is not what comes out
 *   deno run -A wasm/build.ts --text    print the module as text
 */
import asc from "assemblyscript/asc";
import { fileURLToPath } from "node:url";

const WASM_URL = new URL("./kernels.wasm", import.meta.url);
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

/**
 * The compiled kernels, or those of another entry, binary and text.
 * @throws {Error} with the compiler's messages.
 */
export async function compileKernels(
  entry = relative(ENTRY_PATH),
): Promise<{ binary: Uint8Array<ArrayBuffer>; text: string }> {
  let binary = new Uint8Array();
  let text = "";
  const sources = ROOT_PATH;
  const { error, stderr } = await asc.main(
    [entry, "--baseDir", ".", "-o", "out.wasm", "-t", "out.wat", ...OPTIONS],
    {
      readFile(name: string, baseDir: string): string | null {
        try {
          return Deno.readTextFileSync(`${sources}${baseDir}/${name}`);
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
  return { binary, text };
}

function relative(path: string): string {
  return path.slice(ROOT_PATH.length);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

if (import.meta.main) {
  const { binary, text } = await compileKernels();
  if (Deno.args.includes("--text")) {
    console.log(text);
  } else if (Deno.args.includes("--check")) {
    const committed = await Deno.readFile(WASM_URL).catch(() => new Uint8Array());
    if (!sameBytes(binary, committed)) {
      console.error("wasm/kernels.wasm is stale: run `deno run -A wasm/build.ts` and commit it");
      Deno.exit(1);
    }
  } else {
    await Deno.writeFile(WASM_URL, binary);
    console.log(`wasm/kernels.wasm: ${binary.length} bytes`);
  }
}
