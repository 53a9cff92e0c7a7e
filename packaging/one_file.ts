/**
 * The program as one file that unpacks itself: a shell script, and behind it a compressed folder
 * with Deno for this machine's system. For Linux and macOS; nothing is downloaded to make it.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { constants, gzipSync } from "node:zlib";
import project from "../deno.json" with { type: "json" };
import { files } from "./app_folder.ts";
import { ROOT } from "./include_list.ts";
import { tar, type TarEntry } from "./tar.ts";

export interface OneFileOptions {
  /** From 0, stored, and 1, fast, to 9, small; default 9. */
  readonly level?: number;
  /** The Deno that goes in; default: the one that runs this. */
  readonly deno?: string;
}

/** Packs an app's folder into `path`. The same folder and the same Deno make the same file. */
export async function writeOneFile(
  appFolder: string,
  path: string,
  { level = constants.Z_BEST_COMPRESSION, deno = Deno.execPath() }: OneFileOptions = {},
): Promise<void> {
  const entries: TarEntry[] = [
    { path: "deno", bytes: await Deno.readFile(deno), isExecutable: true },
  ];
  for (const name of (await Array.fromAsync(files(appFolder))).sort()) {
    const bytes = await Deno.readFile(join(appFolder, name));
    entries.push({ path: name, bytes, isExecutable: name === "ganglion" });
  }
  const payload = gzipSync(await new Blob([...tar(entries)] as BlobPart[]).bytes(), { level });
  const id = createHash("sha256").update(payload).digest("hex").slice(0, 16);
  const text = await Deno.readTextFile(join(ROOT, "packaging/one_file_start.sh"));
  const script = startScript(text, id);
  await Deno.writeFile(path, new TextEncoder().encode(script), { mode: 0o755 });
  await Deno.writeFile(path, payload, { append: true });
}

/** The script says where it ends: counted from 1, as `tail -c +N` does. */
function startScript(text: string, id: string): string {
  const script = text
    .replaceAll("@VERSION@", project.version)
    .replaceAll("@TARGET@", Deno.build.target)
    .replaceAll("@ID@", id);
  const digits = 5;
  const length = new TextEncoder().encode(script).length - "@OFFSET@".length + digits;
  return script.replace("@OFFSET@", String(length + 1).padStart(digits, "0"));
}
