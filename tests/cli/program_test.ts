import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runCli, runProcess } from "./run_cli.ts";

const VERBS = [
  "serve",
  "run",
  "pull",
  "list",
  "show",
  "rm",
  "bench",
  "logits",
  "tokenize",
  "detokenize",
  "synth",
  "doctor",
];

Deno.test("ganglion --help lists every verb on stdout and exits with 0", async () => {
  const { code, stdout, stderr } = await runProcess(["--help"]);
  assertEquals([code, stderr], [0, ""]);
  for (const verb of VERBS) assertMatch(stdout, new RegExp(`^  ${verb}[ |]`, "m"));
});

Deno.test("every verb has a --help of its own", async () => {
  for (const verb of VERBS) {
    const { code, stdout } = await runCli([verb, "--help"]);
    assertEquals(code, 0, verb);
    assertMatch(stdout, new RegExp(`^Usage: ganglion ${verb}[ |]`));
    assertStringIncludes(stdout, "--config <file>");
  }
});

Deno.test("program.ts reads every verb of its folder, each when it is asked for", () => {
  const source = new URL("../../src/cli/", import.meta.url);
  const text = Deno.readTextFileSync(new URL("./program.ts", source));
  const files = [...Deno.readDirSync(new URL("./verbs", source))].map(({ name }) => name);
  const asked = [...text.matchAll(/\("\.\/verbs\/(\w+\.ts)"\)/g)].map(([, name]) => name);
  assertEquals(asked.toSorted(), files.toSorted());
  assertEquals(text.match(/ from "\.\/verbs\//g), null, "all of them, whatever is asked for");
});

Deno.test("-h and help are --help, too", async () => {
  const { stdout } = await runCli(["show", "--help"]);
  for (const words of [["show", "-h"], ["help", "show"]]) {
    assertEquals(await runCli(words), { code: 0, stdout, stderr: "", said: "" });
  }
});

Deno.test("ganglion --version prints the version of deno.json and nothing else", async () => {
  const { version } = JSON.parse(
    Deno.readTextFileSync(new URL("../../deno.json", import.meta.url)),
  );
  assertEquals((await runCli(["--version"])).stdout, `${version}\n`);
});

Deno.test("wrong usage exits with 2, says what is wrong on stderr and keeps stdout empty", async () => {
  const cases: [string[], string][] = [
    [["frobnicate"], "The verbs are: serve, run, "],
    [["shwo"], "(Did you mean show?)"],
    [["show", "hf:user/repo"], "it is not here yet: ganglion pull hf:user/repo"],
    [["show", "x.gguf", "y.gguf"], "too many arguments"],
    [["show", "--frob"], "unknown option '--frob'"],
    [["bench", "x.gguf", "--threads", "none"], "A whole number from 1 to 64 is needed"],
    [["bench", "x.gguf", "--gpu", "maybe"], "Allowed choices are auto, off, on, force"],
    [["run", "x.gguf", "--json"], "give a PROMPT"],
    [["logits", "x.gguf", "--out", "y"], "without --tokens"],
    [["tokenize", "x.gguf"], "give --text or --file"],
    [["tokenize", "x.gguf", "--text", "a", "--file", "b"], "give one of them"],
    [["detokenize", "x.gguf", "--ids", "1,x"], "Token ids are needed"],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await runCli(args);
    assertEquals([code, stdout], [2, ""], args.join(" "));
    assertStringIncludes(stderr, message);
  }
});

Deno.test("no verb at all is wrong usage", async () => {
  const { code, stdout, stderr } = await runCli([]);
  assertEquals([code, stdout], [2, ""]);
  assertStringIncludes(stderr, "Usage: ganglion");
});

Deno.test("a file that is missing or no model exits with 1 and a message without a stack", async () => {
  const notModel = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(notModel, "this is no model, but it is long enough to have a header");
    const wrong = [[runCli, "/no/such.gguf", "/no/such.gguf"], [runProcess, notModel, "GGUF"]];
    for (const [runIt, path, message] of wrong as [typeof runCli, string, string][]) {
      const { code, stdout, stderr } = await runIt(["show", path, "--json"]);
      assertEquals([code, stdout], [1, ""]);
      assertMatch(stderr, /^error: /);
      assertStringIncludes(stderr, message);
      assertEquals(stderr.includes("\n    at "), false, stderr);
    }
  } finally {
    await Deno.remove(notModel);
  }
});

Deno.test("an environment twin stands in for a flag, and is checked like one", async () => {
  const env = { GANGLION_THREADS: "none" };
  const { code, stderr } = await runCli(["bench", "x.gguf"], { env });
  assertEquals(code, 2);
  assertStringIncludes(stderr, 'Cannot use GANGLION_THREADS: "none"');
});
