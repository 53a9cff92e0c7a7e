/**
 * Makes of the page's sources what the server sends, in built/: a script of the libraries, a script
 * of the page's own, which imports that one, and a style.
 *
 *   deno task build:page           write them
 *   deno task build:page --check   exit 1 when the committed ones are not what comes out
 */
import { fileURLToPath } from "node:url";
import { importFrom, librariesOf } from "./vendor_imports.ts";

const FOLDER = new URL("./built/", import.meta.url);
const MAIN = new URL("./main.tsx", import.meta.url);
const VENDOR = new URL("./vendor.ts", import.meta.url);
const CONFIG = new URL("../../deno.json", import.meta.url);

/** In the order in which rules override one another. */
const STYLES = [
  ...["base", "layout", "sidebar", "message", "images", "voice", "code", "dialog", "neurons"],
];

/** Packages whose licences want to be shown with them; DOMPurify's own comment names its. */
const LICENSED = ["preact", "marked", "highlight.js"];

/**
 * The files by name.
 * @throws {Error} with the bundler's messages.
 */
export async function buildPage(): Promise<Readonly<Record<string, string>>> {
  const style = await Promise.all(
    STYLES.map((name) => Deno.readTextFile(new URL(`./style/${name}.css`, import.meta.url))),
  );
  const libraries = librariesOf(await Deno.readTextFile(VENDOR));
  const outside = libraries.map(({ specifier }) => `--external=${specifier}`);
  const script = importFrom("./vendor.js", libraries, await bundle(MAIN, outside));
  return {
    "vendor.js": `${(await bundle(VENDOR)).trimEnd()}\n${await licenses()}`,
    "chat.js": `${script.trimEnd()}\n`,
    "chat.css": style.join("\n"),
  };
}

async function bundle(entry: URL, flags: readonly string[] = []): Promise<string> {
  const path = fileURLToPath(entry);
  return await deno(["bundle", "--quiet", "--minify", "--platform", "browser", ...flags, path]);
}

/** The licences' texts, as a comment that stays. */
async function licenses(): Promise<string> {
  const { npmCache } = JSON.parse(await deno(["info", "--json"]));
  const { imports } = JSON.parse(await Deno.readTextFile(CONFIG));
  const texts = await Promise.all(LICENSED.map(async (name) => {
    const version = imports[name].split("@").at(-1);
    const folder = `${npmCache}/registry.npmjs.org/${name}/${version}`;
    const file = (await Array.fromAsync(Deno.readDir(folder)))
      .find((each) => /^licen[sc]e/i.test(each.name));
    if (file === undefined) throw new Error(`Cannot find the licence of ${name} in ${folder}`);
    return `${name} ${version}\n\n${(await Deno.readTextFile(`${folder}/${file.name}`)).trim()}`;
  }));
  return `/*! This script has these packages in it:\n\n${texts.join("\n\n---\n\n")}\n*/\n`
    .replaceAll("\r", "");
}

async function deno(args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    env: { NO_COLOR: "1" },
  }).output();
  if (!success) throw new Error(`Cannot build the page: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

if (import.meta.main) {
  for (const [name, text] of Object.entries(await buildPage())) {
    const url = new URL(name, FOLDER);
    if (!Deno.args.includes("--check")) {
      await Deno.mkdir(FOLDER, { recursive: true });
      await Deno.writeTextFile(url, text);
      console.log(`src/page/built/${name}: ${text.length} characters`);
    } else if (await Deno.readTextFile(url).catch(() => "") !== text) {
      console.error(`src/page/built/${name} is stale: run \`deno task build:page\` and commit it`);
      Deno.exit(1);
    }
  }
}
