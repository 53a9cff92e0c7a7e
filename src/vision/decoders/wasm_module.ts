/** WebAssembly of packages, compiled when it is first needed. */
import { fileURLToPath } from "node:url";

const modules = new Map<string, Promise<WebAssembly.Module>>();

/** @param url of a file. */
export function wasmModule(url: string): Promise<WebAssembly.Module> {
  const known = modules.get(url);
  if (known !== undefined) return known;
  const compiled = Deno.readFile(fileURLToPath(url)).then((bytes) => WebAssembly.compile(bytes));
  modules.set(url, compiled);
  return compiled;
}
