/** Plans of random steps, run byte by byte with every value of the symbols; and of a small one. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  constant,
  type GraphTensor,
  Liveness,
  N,
  planMemory,
  S,
  StepGraph,
} from "../../src/shapes/mod.ts";
import { IS_DEEP } from "../support/deep.ts";
import { admissible, BOUNDS } from "./random_expr.ts";
import { assertRuns, stepGraphs } from "./random_graph.ts";

const ALIGN = 8;
const ALL = [...admissible(BOUNDS)];
const RUNS = IS_DEEP ? 400 : 100;

for (const places of ["fixed", "symbolic"] as const) {
  Deno.test(`planMemory() keeps what lives together apart, for all values: ${places}`, () => {
    let saved = 0;
    fc.assert(
      fc.property(stepGraphs, fc.infiniteStream(fc.nat(ALL.length - 1)), (graph, picks) => {
        const plan = planMemory(graph, BOUNDS, { alignBytes: ALIGN, places });
        for (const { offset, size } of plan.places) {
          assert(offset.dividedBy(ALIGN) !== null && size.dividedBy(ALIGN) !== null);
        }
        for (const index of picks.take(6)) assertRuns(graph, plan, ALL[index]);
        assertApart(graph, plan);
        saved += Number(plan.plannedBytes < plan.apartBytes);
        assert(plan.plannedBytes <= plan.apartBytes);
      }),
      { numRuns: RUNS, seed: 3 },
    );
    assert(saved > RUNS / 4, `${saved} plans of ${RUNS} save memory`);
  });
}

/** By places alone, for all values: neither beyond the buffer nor over one another. */
function assertApart(graph: StepGraph, plan: ReturnType<typeof planMemory>): void {
  const liveness = new Liveness(graph);
  const pairs: [GraphTensor, GraphTensor][] = graph.tensors.flatMap((a) =>
    graph.tensors.filter((b) => b.id < a.id && liveness.liveTogether(a, b))
      .filter((b) => plan.places[a.id].buffer === plan.places[b.id].buffer)
      .map((b): [GraphTensor, GraphTensor] => [a, b])
  );
  for (const at of ALL) {
    const spans = plan.places.map(({ offset, size, buffer }) => {
      const start = offset.evaluate(at);
      const end = start + size.evaluate(at);
      const { capacity, maxBytes } = plan.buffers[buffer];
      assert(end <= capacity.evaluate(at) && capacity.evaluate(at) <= maxBytes);
      return { start, end };
    });
    for (const [a, b] of pairs) {
      const [x, y] = [spans[a.id], spans[b.id]];
      assert(x.end <= y.start || y.end <= x.start, `${a.name} and ${b.name}`);
    }
  }
}

/** Attention and neurons of two matrices, four layers. */
function smallStep() {
  const graph = new StepGraph();
  const wide = (name: string, width: number) =>
    graph.tensor(name, { shape: [N, width], type: "f32" });
  const residual = graph.tensor("residual", { shape: [N, 64], type: "f32", lives: "always" });
  const of = {
    residual,
    query: wide("query", 64),
    scores: graph.tensor("scores", { shape: [N, S, 4], type: "f32" }),
    mixed: wide("mixed", 64),
    hidden: wide("hidden", 256),
    counts: graph.tensor("counts", { bytes: 100, lives: "always" }),
  };
  graph.repeat(4, () => {
    graph.op("project", { reads: [residual], writes: [of.query] });
    graph.op("score", { reads: [of.query], writes: [of.scores] });
    graph.op("mix", { reads: [of.scores], writes: [of.mixed] });
    graph.op("merge", { reads: [of.mixed], updates: [residual] });
    graph.op("up", { reads: [residual], writes: [of.hidden] });
    graph.op("down", { reads: [of.hidden], updates: [residual] });
  });
  return { graph, of };
}

Deno.test("planMemory() reuses a layer's intermediates in it and in the next one", () => {
  const { graph, of } = smallStep();
  const bounds = { tokensMax: 32, contextMax: 1024, batchMax: 1 };
  const plan = planMemory(graph, bounds, { alignBytes: 256, places: "fixed" });
  const { scores, hidden, query, mixed, residual, counts } = of;
  const bufferOf = ({ id }: GraphTensor) => plan.places[id].buffer;
  assertEquals(bufferOf(scores), bufferOf(hidden));
  assertEquals(bufferOf(query), bufferOf(mixed));
  assert(bufferOf(query) !== bufferOf(scores), "they live together");
  const [scoresBytes, queryBytes, residualBytes] = [32 * 1024 * 16, 32 * 256, 32 * 256];
  assertEquals(plan.plannedBytes, scoresBytes + queryBytes + residualBytes + 256);
  assertEquals(plan.apartBytes, plan.plannedBytes + 32 * 1024 + queryBytes);
  assertEquals(plan.buffers[bufferOf(residual)].tensors, [residual]);
  assertEquals(plan.buffers[bufferOf(counts)].maxBytes, 256);
});

Deno.test("planMemory() puts a tensor only where it fits whatever the symbols are", () => {
  const { graph, of } = smallStep();
  // Of 2 tokens and 2 positions scores are smaller than what neurons give; of 1024 larger.
  const bounds = { tokensMax: 32, contextMax: 1024, batchMax: 1 };
  const plan = planMemory(graph, bounds, { alignBytes: 4, places: "symbolic" });
  const { scores, hidden, mixed, query } = of;
  const bufferOf = ({ id }: GraphTensor) => plan.places[id].buffer;
  assert(bufferOf(scores) !== bufferOf(hidden));
  assertEquals(bufferOf(mixed), bufferOf(hidden));
  assertEquals(bufferOf(query), bufferOf(hidden));
  assertEquals(plan.places[mixed.id].offset.key, constant(0).key);
  assertEquals(plan.places[query.id].offset.key, constant(0).key);
});

Deno.test("Liveness sees what one turn of a loop leaves for the next one, and gaps", () => {
  const graph = new StepGraph();
  const make = (name: string) => graph.tensor(name, { bytes: 1 });
  const [carried, inside, after, twice] = ["carried", "inside", "after", "twice"].map(make);
  graph.op("before", { writes: [carried] }); // 0
  graph.repeat(2, () => {
    graph.op("use", { reads: [carried], writes: [inside, twice] }); // 1
    graph.op("read", { reads: [inside, twice], writes: [after] }); // 2
    graph.op("idle", {}); // 3
    graph.op("carry", { writes: [carried], scratch: [inside] }); // 4
    graph.op("again", { writes: [twice] }); // 5
    graph.op("done", { reads: [twice] }); // 6
  });
  graph.op("end", { reads: [after] }); // 7
  const liveness = new Liveness(graph);
  assertEquals(liveness.ranges(carried), [{ first: 0, last: 1 }, { first: 4, last: 6 }]);
  assertEquals(liveness.ranges(inside), [{ first: 1, last: 2 }, { first: 4, last: 4 }]);
  assertEquals(liveness.ranges(after), [{ first: 2, last: 7 }]);
  assertEquals(liveness.ranges(twice), [{ first: 1, last: 2 }, { first: 5, last: 6 }]);
  assertEquals(liveness.liveTogether(carried, inside), true);
  assertEquals(liveness.isLive(carried, 3), false);
});

Deno.test("Liveness refuses a read of what nothing has written", () => {
  const graph = new StepGraph();
  const tensor = graph.tensor("ghost", { bytes: 1 });
  graph.op("look", { reads: [tensor] });
  assertThrows(() => new Liveness(graph), Error, "look reads ghost");
  const other = new StepGraph();
  assertThrows(() => other.op("look", { reads: [tensor] }), Error, "its own graph");
});
