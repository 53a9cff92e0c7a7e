/** Every fault of the list has a test that says so, or a reason to have none: tests/README.md. */
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));
const FAULTS = 65;

interface Row {
  readonly fault: number;
  readonly files: readonly string[];
  /** Why there is no test; empty: there are some. */
  readonly reason: string;
}

function readRows(markdown: string): Row[] {
  const lines = markdown.matchAll(/^\|\s+(\d+) +\| [^|]+ \| ([^|]+?) +\|$/gm);
  return [...lines].map(([, fault, cell]) => {
    const reason = /^none: (.+)$/.exec(cell)?.[1] ?? "";
    const files = reason === "" ? [...cell.matchAll(/`([^`]+)`/g)].map(([, file]) => file) : [];
    return { fault: Number(fault), files, reason };
  });
}

Deno.test("every fault is in the table of tests/README.md, with a test that names it or a reason", () => {
  const rows = readRows(Deno.readTextFileSync(`${FOLDER}README.md`));
  const all = Array.from({ length: FAULTS }, (_, index) => index + 1);
  assertEquals(rows.map(({ fault }) => fault), all);
  for (const { fault, files, reason } of rows) {
    assert(files.length > 0 || reason.length > 20, `fault ${fault} has neither test nor reason`);
    for (const file of files) {
      const isNamed = new RegExp(`fault ${fault}\\b`).test(Deno.readTextFileSync(FOLDER + file));
      assert(isNamed, `tests/${file} says nothing of fault ${fault}`);
    }
  }
});

Deno.test("readRows() reads files and reasons, and no other rows", () => {
  const text = [
    "| fault | what | tests |",
    "|---|---|---|",
    "| 1 | a | `x.ts`, `y/z.ts` |",
    "| 2 | b | none: why |",
    "",
  ].join("\n");
  assertEquals(readRows(text), [
    { fault: 1, files: ["x.ts", "y/z.ts"], reason: "" },
    { fault: 2, files: [], reason: "why" },
  ]);
});
