import { assertEquals } from "@std/assert";
import { type Task, tasksOf, turnsOf } from "./schedule.ts";

const LENGTHS = { threads: [1], promptTokens: 64, genTokens: 16, context: [], load: false };
const ABLE = { measuresContexts: true };

Deno.test("tasksOf() measures speed, contexts and loading with every number of threads", () => {
  const tasks = tasksOf("m.gguf", { ...LENGTHS, threads: [1, 2], context: [100, 400], load: true });
  assertEquals(tasks.map(({ threads, kind, promptTokens }) => [threads, kind, promptTokens]), [
    ...[[1, "speed", 64], [1, "context", 100], [1, "context", 400], [1, "load", 0]],
    ...[[2, "speed", 64], [2, "context", 100], [2, "context", 400], [2, "load", 0]],
  ]);
});

Deno.test("turnsOf() gives every engine its turn within a round, another first each time", () => {
  const engines = ["a", "b", "c"].map((name) => ({ ...ABLE, name }));
  const tasks = tasksOf("m.gguf", { ...LENGTHS, threads: [1, 2] });
  const turns = [...turnsOf({ tasks, engines, rounds: 4 })];
  const order = (round: number, threads: number) =>
    turns.filter((turn) => turn.round === round && turn.task.threads === threads)
      .map(({ engine }) => engine.name).join("");
  assertEquals([1, 2, 3, 4].map((round) => order(round, 1)), ["abc", "bca", "cab", "abc"]);
  assertEquals([1, 2, 3, 4].map((round) => order(round, 2)), ["abc", "bca", "cab", "abc"]);
});

Deno.test("turnsOf() ends a round before the next begins, all tasks in it", () => {
  const tasks = tasksOf("m.gguf", { ...LENGTHS, threads: [1, 2] });
  const turns = [...turnsOf({ tasks, engines: [ABLE, ABLE], rounds: 2 })];
  assertEquals(
    turns.map(({ round, task }) => `${round}:${task.threads}`),
    ["1:1", "1:1", "1:2", "1:2", "2:1", "2:1", "2:2", "2:2"],
  );
});

Deno.test("turnsOf() asks of an engine only what it can do", () => {
  const engines = [
    { name: "ours", measuresContexts: true, measureLoad: () => Promise.reject() },
    { name: "native", measuresContexts: true },
    { name: "browser", measuresContexts: false },
  ];
  const tasks = tasksOf("m.gguf", { ...LENGTHS, context: [100], load: true });
  const names = (kind: Task["kind"]) =>
    [...turnsOf({ tasks, engines, rounds: 1 })].filter(({ task }) => task.kind === kind)
      .map(({ engine }) => engine.name);
  assertEquals(names("speed"), ["ours", "native", "browser"]);
  assertEquals(names("context"), ["ours", "native"]);
  assertEquals(names("load"), ["ours"]);
});
