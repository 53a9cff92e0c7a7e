/**
 * Makes of the page's sources what the server sends: one script and one style, in built/.
 *
 *   deno task build:page           write them
 *   deno task build:page --check   exit 1 when the committed ones are not what comes out
 */
import { fileURLToPath } from "node:url";

const FOLDER = new URL("./built/", import.meta.url);
const ENTRY = fileURLToPath(new URL("./main.tsx", import.meta.url));
const CONFIG = new URL("../../deno.json", import.meta.url);

/** In the order in which rules override one another. */
const STYLES = ["base", "layout", "sidebar", "message", "images", "code", "dialog", "neurons"];

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
  return {
    "chat.js": `${(await bundle()).trimEnd()}\n${await licenses()}`,
    "chat.css": style.join("\n"),
  };
}

async function bundle(): Promise<string> {
  return await deno(["bundle", "--quiet", "--minify", "--platform", "browser", ENTRY]);
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
