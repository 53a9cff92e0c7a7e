import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { AdapterShares, type AdaptersOfModel } from "../../src/llm/adapter_shares.ts";

const APART = {
  base: "tiny",
  models: [{ id: "table", obstacle: "the table is looked up" }, { id: "poet", obstacle: "GPU" }],
};

function sharesOf(of: Partial<AdaptersOfModel> = {}): AdapterShares {
  return new AdapterShares({ id: "tiny", shares: [0, 0], isNamed: false, merged: [], ...of });
}

function refusal(work: () => void): string {
  const { message, status, param } = assertThrows(work, RequestError);
  assertEquals([status, param], [400, "lora"]);
  return message;
}

Deno.test("AdapterShares has what is asked for, and no others; else what the model has", () => {
  const shares = sharesOf({ shares: [0.5, 1] });
  assertEquals(shares.of(undefined), [0.5, 1]);
  assertEquals(shares.of([{ id: 1, scale: -2 }]), [0, -2]);
  assertEquals(shares.of([{ id: 0, scale: 3 }, { id: 0, scale: 4 }]), [4, 0]);
  assertEquals(shares.of([]), [0, 0]);
  assertEquals(shares.current, [0.5, 1]);
  assertEquals(sharesOf({ shares: [] }).of([]), []);
});

Deno.test("AdapterShares.choose() changes what counts where nobody says, whole or not at all", () => {
  const shares = sharesOf();
  const before = shares.of(undefined);
  shares.choose([{ id: 1, scale: 0.5 }]);
  assertEquals([shares.current, shares.of(undefined), before], [[0, 0.5], [0, 0.5], [0, 0]]);
  const wrong = [{ id: 0, scale: 1 }, { id: 2, scale: 1 }];
  assertStringIncludes(refusal(() => shares.choose(wrong)), "adapter 2: the model has 2 adapters");
  assertEquals(shares.current, [0, 0.5]);
  shares.choose([]);
  assertEquals(shares.current, [0, 0]);
  const named = sharesOf({ id: "poet", shares: [1, 0], isNamed: true });
  assertStringIncludes(refusal(() => named.choose([])), "its name says that");
  assertEquals(named.of([{ id: 1, scale: 1 }]), [0, 1]);
});

Deno.test("AdapterShares says where an adapter is that could not lie beside the weights", () => {
  const asked = [{ id: 0, scale: 1 }];
  const none = refusal(() => sharesOf({ shares: [], apart: APART }).of(asked));
  assertStringIncludes(none, 'Cannot use adapter 0: "table" is a model of its own with its');
  assertStringIncludes(none, 'because the table is looked up: ask for "table" instead; "poet" is');
  const more = refusal(() => sharesOf({ apart: APART }).of([{ id: 2, scale: 1 }]));
  assertStringIncludes(more, "the model has 2 adapters, counted from 0: see GET /lora-adapters; ");
  assertStringIncludes(more, 'ask for "poet" instead');
  assertStringIncludes(refusal(() => sharesOf({ shares: [] }).of(asked)), "--lora-model NAME=FILE");
});

Deno.test("AdapterShares cannot take out what is in the weights, and says why it is there", () => {
  const own = sharesOf({ id: "poet", shares: [], merged: [0.5], apart: APART });
  const ofFlag = sharesOf({ shares: [], merged: [1, -1] });
  for (const asked of [[], [{ id: 0, scale: 1 }], [{ id: 0, scale: 0.5 }, { id: 1, scale: 1 }]]) {
    const message = refusal(() => own.of(asked));
    assertStringIncludes(message, 'the adapters of "poet": its adapter is in its');
    assertStringIncludes(
      message,
      'because GPU: ask for "tiny", which is without it, or for "poet"',
    );
    assertEquals(refusal(() => own.choose(asked)), message);
    assertStringIncludes(refusal(() => ofFlag.of(asked)), "in its weights (--lora)");
  }
  // As much as there is.
  assertEquals(own.of([{ id: 0, scale: 0.5 }]), []);
  assertEquals(ofFlag.of([{ id: 1, scale: -1 }, { id: 0, scale: 1 }]), []);
  assertEquals([own.of(undefined), ofFlag.of(undefined)], [[], []]);
  // And more, be it behind the last one that a list can have, or so far that looking takes minutes.
  for (const id of [2 ** 32, -1, 0.5, 2 ** 31 - 1]) {
    const asked = [{ id: 1, scale: -1 }, { id: 0, scale: 1 }, { id, scale: 1 }];
    assertStringIncludes(refusal(() => ofFlag.of(asked)), "in its weights (--lora)");
  }
});

Deno.test("AdapterShares refuses scales that ranks would not have as numbers", () => {
  for (const scale of [NaN, Infinity, -1e39]) {
    const asked = [{ id: 0, scale: 1 }, { id: 1, scale }];
    assertStringIncludes(
      refusal(() => sharesOf().of(asked)),
      `${scale} times: give a finite number`,
    );
  }
  assertEquals(sharesOf().of([{ id: 1, scale: -1e38 }]), [0, -1e38]);
});
