/**
 * Every command of README and guides is run, on the built-in model; about half a minute together.
 * Fences say how: `sh` to its end, `sh server` as a server that the document's later blocks ask,
 * `sh root` in the repository's folder, `sh skip=REASON` not at all. Each verb is a process once,
 * and a server that needs no files is one for all documents; `deno task test:deep` has a process
 * for each command line.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals } from "@std/assert";
import { dirname, join } from "node:path";
import { compileGrammar } from "../../src/grammar/mod.ts";
import { FORMATS } from "../../src/grammar/schema/formats.ts";
import { WORDS_OF_TYPE } from "../../src/grammar/schema/schema_types.ts";
import { apiReference } from "../../docs/make/api_reference.ts";
import { fileIndex, firstSentence } from "../../docs/make/file_index.ts";
import {
  fileLinks,
  listDocuments,
  listInternals,
  REASONS,
  ROOT,
  shellBlocks,
} from "./documents.ts";
import { endKeptServers, Shell, which } from "./shell.ts";

const read = (path: string) => Deno.readTextFileSync(join(ROOT, path));
const hasTools = ["curl", "setsid"].every((program) => which(program) !== null);

Deno.test.afterAll(endKeptServers);

for (const document of listDocuments()) {
  const blocks = shellBlocks(read(document)).filter(({ skip }) => skip === null);
  if (blocks.length === 0) continue;
  Deno.test({
    name: `every command in ${document} runs${hasTools ? "" : " [skipped: no curl or setsid]"}`,
    ignore: !hasTools,
    // A server may outlive its document: another one asks it, too.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await using shell = new Shell();
      for (const block of blocks) await shell.run(block);
    },
  });
}

Deno.test("commands that are not run have a reason that is known", () => {
  const skipped = listDocuments().flatMap((document) =>
    shellBlocks(read(document)).flatMap(({ skip }) => skip === null ? [] : [skip])
  );
  assertEquals(skipped.filter((reason) => !(reason in REASONS)), []);
  assertEquals(Object.keys(REASONS).filter((reason) => !skipped.includes(reason)), []);
});

Deno.test("commands within sentences have verbs that there are", () => {
  let count = 0;
  for (const document of listDocuments()) {
    for (const [command, verb] of read(document).matchAll(/`ganglion ([a-z]+)/g)) {
      assert(exists(`${ROOT}/src/cli/verbs/${verb}.ts`), `${document}: ${command}`);
      count++;
    }
  }
  assert(count > 10, `${count} commands were looked at`);
});

/** Flags of programs that are not this one's. */
const OTHERS_FLAGS = ["--gpus", "--now", "--openai-api-base", "--openai-api-key", "--rm"];

Deno.test("flags in documents are there", () => {
  const places = ["src/cli", "packaging", "docs/make", "tests/bench"];
  const sources = places.flatMap(sourcesBelow).concat("src/page/build.ts", "deno.json").map(read);
  const flagsOf = (text: string) =>
    [...text.matchAll(/(?<![\w-])--[a-z][a-z\d-]+/g)].map(([flag]) => flag);
  const known = new Set([...sources.flatMap(flagsOf), ...OTHERS_FLAGS]);
  let count = 0;
  for (const document of listDocuments()) {
    const flags = flagsOf(read(document));
    count += flags.length;
    assertEquals(flags.filter((flag) => !known.has(flag)), [], document);
  }
  assert(count > 100, `${count} flags were looked at`);
});

Deno.test("links between documents lead to files", () => {
  let count = 0;
  for (const document of [...listDocuments(), ...listInternals()]) {
    for (const link of fileLinks(read(document))) {
      const path = join(ROOT, dirname(document), link);
      assert(exists(path), `${document} links to ${link}, which is not there`);
      count++;
    }
  }
  assert(count > 50, `${count} links were looked at`);
});

Deno.test("files that ARCHITECTURE.md and what it links to name are there", () => {
  const folders = ["src", "wasm", "gpu", "workers", "tests", "packaging", "docs/make"];
  const files = folders.flatMap(filesBelow).concat("mod.ts");
  let count = 0;
  for (const document of listInternals()) {
    const text = read(document);
    const named = [...text.matchAll(/`([\w./-]+\.(?:ts|tsx|wgsl))`/g)].map(([, name]) => name);
    const missing = named.filter((name) => !files.some((path) => `/${path}`.endsWith(`/${name}`)));
    assertEquals(missing, [], document);
    count += named.length;
  }
  assert(count > 50, `${count} names were looked at`);
  const linked = fileLinks(read("ARCHITECTURE.md"));
  assertEquals(listInternals().slice(2).filter((path) => !linked.includes(path)), []);
});

Deno.test("docs/clients.md names the words of JSON Schema that hold, and such that are refused", () => {
  const rows = read("docs/clients.md").split("\n").filter((line) => line.startsWith("|"));
  const wordsOf = (row: string) =>
    [...rows.find((line) => line.startsWith(`| ${row} `))!.matchAll(/`([a-z$]\w+)`/gi)]
      .map(([, word]) => word);
  const listed = ["objects", "lists", "texts", "numbers"].flatMap(wordsOf);
  const known = [...WORDS_OF_TYPE.values()].flat();
  const unsaid = ["propertyNames", "uniqueItems"]; // of zod's records; false is no wish
  assertEquals(known.filter((word) => !listed.includes(word)).sort(), unsaid);
  const samples: Record<string, unknown> = { allOf: [true], uniqueItems: true };
  const isKnown = (word: string) => {
    try {
      const schema = { type: ["array", "object"], [word]: samples[word] ?? {} };
      compileGrammar({ kind: "jsonSchema", schema });
      return true;
    } catch (error) {
      return !/not supported/.test(String(error));
    }
  };
  assertEquals(listed.filter((word) => !isKnown(word)), []);
  assertEquals(wordsOf("refused").filter(isKnown), []);
  const texts = rows.find((line) => line.startsWith("| texts "))!;
  for (const format of FORMATS.keys()) assert(texts.includes(format), format);
});

// Merges of both sides' lines (`merge=union`) put what both have there twice.
Deno.test("CHANGELOG.md says nothing twice, NOTES.md has each section once", () => {
  const entries = read("CHANGELOG.md").split("\n").filter((line) => line.length > 60);
  assertEquals(twice(entries.map((line) => line.slice(0, 60))), []);
  const notes = read("NOTES.md");
  assertEquals(twice(notes.match(/^## .*$/gm) ?? []), []);
  assertEquals(twice(indexOf(notes).map(({ subject }) => subject)), []);
});

Deno.test("NOTES.md's index names sections that there are", () => {
  const notes = read("NOTES.md");
  const rows = indexOf(notes);
  assert(rows.length > 10, `the index has ${rows.length} rows`);
  const headings = notes.match(/^#{2,} .*$/gm) ?? [];
  const isThere = (name: string) => headings.some((heading) => heading.includes(name));
  for (const { subject, sections } of rows) {
    assert(sections.length > 0, `${subject} names sections`);
    assertEquals(sections.filter((name) => !isThere(name)), [], subject);
  }
});

/** Rows of "Where to look": what about, and parts of the titles of sections to read. */
function indexOf(notes: string): { subject: string; sections: string[] }[] {
  const [, index = ""] = /^## Where to look\n([^]*?)^## /m.exec(notes) ?? [];
  return [...index.matchAll(/^\| (.+) \| (.+) \|$/gm)].slice(1)
    .map(([, subject, names]) => ({ subject, sections: names.split(" · ") }));
}

function twice(lines: readonly string[]): string[] {
  return lines.filter((line, at) => lines.indexOf(line) < at);
}

Deno.test("messages in docs/troubleshooting.md are the program's", () => {
  const sources = [...sourcesBelow("src"), ...sourcesBelow("packaging")].map(read).join("\n");
  const messages = [...read("docs/troubleshooting.md").matchAll(/`(Cannot [^`]*|it[s ][^`]*)`/g)]
    // What differs from one to the next is not in a source.
    .map(([, said]) => said.split(/…|127\.| N /)[0].trim());
  assert(messages.length > 8, `${messages.length} messages`);
  assertEquals(messages.filter((said) => !sources.includes(said)), []);
});

Deno.test("docs/README.md lists every guide", () => {
  const listed = fileLinks(read("docs/README.md")).map((link) => `docs/${link}`);
  const guides = listDocuments().filter((path) => !path.endsWith("README.md"));
  assertEquals(guides.filter((path) => !listed.includes(path)), []);
});

Deno.test("docs/api.md is what /openapi.json says: deno task docs:api", async () => {
  assertEquals(read("docs/api.md"), await apiReference());
});

Deno.test("docs/files.md is what the source files say: deno task docs:files", () => {
  assertEquals(read("docs/files.md"), fileIndex());
});

Deno.test("firstSentence() reads the header of every kind of source", () => {
  const cases = [
    ["// deno-fmt-ignore-file: why\n/** What it is. More. */\n", "What it is"],
    ["/**\n * Reads `x.y` of\n * a file. Knows no text.\n */\n", "Reads `x.y` of a file"],
    ["/** What it is: part of types.ts. */\nexport {};\n", "What it is: part of types.ts"],
    ["// to[t] = a * x[t]:\n//   more\n//\n// | a | table |\ncode", "to[t] = a \\* x[t]: more"],
    ["/* Code, and its colours. */\ncode {}", "Code, and its colours"],
    ['/// <reference lib="deno.worker" />\n/** A thread. */', "A thread"],
    ["#!/bin/sh\n# Starts it.\nexec", "Starts it"],
    ['"""Trains a model. Run once."""\n', "Trains a model"],
    ["/** An Array<T>, `a<b>`. */", "An Array\\<T>, `a<b>`"],
    [`/** ${"word ".repeat(60)}end. */`, `${"word ".repeat(40).trim()} …`],
  ];
  for (const [source, sentence] of cases) assertEquals(firstSentence(source), sentence);
});

Deno.test("shellBlocks() reads fences and their words", () => {
  const text = "a\n```sh server root\nx\ny\n```\n```ts\nz\n```\n```sh skip=long\nw\n```\n";
  assertEquals(shellBlocks(text), [
    { text: "x\ny\n", line: 2, isServer: true, atRoot: true, skip: null },
    { text: "w\n", line: 9, isServer: false, atRoot: false, skip: "long" },
  ]);
});

/** TypeScript and shell scripts below a folder, relative to the root. */
function sourcesBelow(folder: string): string[] {
  return filesBelow(folder).filter((path) => /\.(ts|sh)$/.test(path));
}

function filesBelow(folder: string): string[] {
  return [...Deno.readDirSync(join(ROOT, folder))].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesBelow(`${folder}/${name}`) : [`${folder}/${name}`]
  );
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
