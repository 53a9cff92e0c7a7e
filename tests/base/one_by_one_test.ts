import { assertEquals, assertRejects } from "@std/assert";
import { OneByOne } from "../../src/base/one_by_one.ts";

Deno.test("OneByOne begins a piece of work when the one before has ended, well or not", async () => {
  const queue = new OneByOne();
  const seen: string[] = [];
  const work = (name: string, fails = false) => async () => {
    seen.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, 1));
    seen.push(`${name} ends`);
    if (fails) throw new Error(name);
    return name;
  };
  const [a, b, c] = [queue.run(work("a")), queue.run(work("b", true)), queue.run(work("c"))];
  await assertRejects(() => b, Error, "b");
  assertEquals([await a, await c], ["a", "c"]);
  const order = ["a", "b", "c"].flatMap((name) => [`${name} begins`, `${name} ends`]);
  assertEquals(seen, order);
});
