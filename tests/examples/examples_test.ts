/**
 * The example programs within this isolate. That they run as their headers say, with no more
 * permissions, tests/docs shows: the same commands are in docs/library.md.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

Deno.test("examples/tell_story.ts writes a story and how fast it was", async () => {
  assertMatch(
    await runExample("tell_story"),
    /^\w[^]+\n\n\d+ tokens in \d+\.\d\d s: (stop|length)\n$/,
  );
});

Deno.test("examples/fill_form.ts makes an order of a sentence", async () => {
  assertMatch(await runExample("fill_form"), /^\d{1,2} × (bread|cheese|tea)\n$/);
});

Deno.test("examples/search_notes.ts puts every note in order of its likeness", async () => {
  const [question, ...notes] = (await runExample("search_notes")).trimEnd().split("\n");
  assertEquals(question, "Which port does the server listen on?");
  const likeness = notes.map((line) => Number(line.slice(0, 5)));
  assertEquals(likeness.length, 3);
  assertEquals(likeness, likeness.toSorted((a, b) => b - a));
  assert(likeness.every((each) => each > -1 && each < 1));
});

Deno.test("every example has a test here", () => {
  const examples = [...Deno.readDirSync(`${ROOT}/examples`)].map(({ name }) => name).sort();
  const tested = Deno.readTextFileSync(fileURLToPath(import.meta.url))
    .matchAll(/runExample\("(\w+)"\)/g);
  assertEquals([...tested].map(([, name]) => `${name}.ts`).sort(), examples);
});

/** What an example prints; the command in its header is one that docs/library.md has. */
async function runExample(name: string): Promise<string> {
  const path = `examples/${name}.ts`;
  const source = Deno.readTextFileSync(`${ROOT}/${path}`);
  const command = /^ \* {3}(deno run .*) \[MODEL\.gguf\]$/m.exec(source)?.[1];
  assert(command !== undefined && command.endsWith(` ${path}`), `${path} says not how it is run`);
  const library = Deno.readTextFileSync(`${ROOT}/docs/library.md`);
  assert(library.split("\n").includes(command), `docs/library.md has no line "${command}"`);
  let printed = "";
  const { log } = console;
  console.log = (...words: unknown[]) => printed += `${words.map(String).join(" ")}\n`;
  const write = (bytes: Uint8Array) => {
    printed += new TextDecoder().decode(bytes);
    return Promise.resolve(bytes.length);
  };
  Object.defineProperty(Deno.stdout, "write", { value: write, configurable: true });
  const { args, exit } = Deno;
  Object.defineProperty(Deno, "args", { value: [], configurable: true });
  Deno.exit = (): never => {
    throw new Exit();
  };
  try {
    await import(`../../${path}`);
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
  } finally {
    Deno.exit = exit;
    Object.defineProperty(Deno, "args", { value: args, configurable: true });
    Reflect.deleteProperty(Deno.stdout, "write");
    console.log = log;
  }
  return printed;
}

/** An example ends its process, which is this one. */
class Exit extends Error {}
