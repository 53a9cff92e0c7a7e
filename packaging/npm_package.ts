/** The program as an npm package: `npx ganglion`, with Deno from npm, and the library for Deno. */
import { join } from "node:path";
import project from "../deno.json" with { type: "json" };
import { APP_LIBRARY, APP_MAIN, files } from "./app_folder.ts";
import { ROOT } from "./include_list.ts";
import { readLaunch, runArguments } from "./launch.ts";

const BIN = "bin.mjs";

/** Makes a folder for `npm pack` of an app's folder. */
export async function writeNpmPackage(appFolder: string, folder: string): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  for await (const path of files(appFolder)) {
    if (path === "ganglion") continue; // finds Deno in another way
    await Deno.mkdir(join(folder, path, ".."), { recursive: true });
    await Deno.copyFile(join(appFolder, path), join(folder, path));
  }
  await Deno.copyFile(join(ROOT, "README.md"), join(folder, "README.md"));
  const launch = readLaunch();
  const template = await Deno.readTextFile(join(ROOT, "packaging/npm_bin.mjs"));
  const script = template
    .replace("@V8_FLAGS@", launch.v8Flags)
    .replace("@ARGUMENTS@", runArguments(launch).join(" "))
    .replace("@MAIN@", APP_MAIN);
  await Deno.writeTextFile(join(folder, BIN), script, { mode: 0o755 });
  await Deno.writeTextFile(
    join(folder, "package.json"),
    `${JSON.stringify(manifest(Deno.version.deno), null, 2)}\n`,
  );
}

/** deno: the version that packed it, which the tests ran with. */
function manifest(deno: string) {
  return {
    name: "ganglion",
    version: project.version,
    description: "Large language models in Deno: an engine and a chat server without native code",
    license: project.license,
    type: "module",
    bin: { ganglion: BIN },
    exports: `./${APP_LIBRARY}`,
    dependencies: { deno },
    engines: { node: ">=18" },
  };
}
