/** The example programs, run as their headers say. */
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

/** What an example prints when it is started by the command in its header. */
async function runExample(name: string): Promise<string> {
  const path = `examples/${name}.ts`;
  const source = Deno.readTextFileSync(`${ROOT}/${path}`);
  const command = /^ \* {3}deno (run .*) \[MODEL\.gguf\]$/m.exec(source);
  assert(command !== null, `${path} does not say how it is run`);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...command[1].split(" ").toSpliced(1, 0, "--no-prompt")],
    cwd: ROOT,
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}
