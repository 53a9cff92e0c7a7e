/** The guide to models names each family that runs, and no other. */
import { assertEquals } from "@std/assert";
import { FAMILIES } from "../../src/model/families/mod.ts";

Deno.test("docs/models.md names the families that run, and counts them", async () => {
  const guide = await Deno.readTextFile(new URL("../../docs/models.md", import.meta.url));
  const rows = guide.split("\n").filter((line) => line.startsWith("| ")).join("\n");
  const named = [...rows.matchAll(/`([\w.-]+)`/g)].map(([, name]) => name);
  assertEquals(named.toSorted(), FAMILIES.map(({ architecture }) => architecture).toSorted());
  assertEquals(guide.replaceAll(/\s+/g, " ").includes(`These ${FAMILIES.length} run`), true);
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  assertEquals(readme.includes(`| Families | ${FAMILIES.length} architectures`), true);
});
