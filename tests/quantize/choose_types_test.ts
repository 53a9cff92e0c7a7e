import { assertEquals } from "@std/assert";
import { chooseTypes, type Quant, QUANTS, type WeightType } from "../../src/quantize/mod.ts";

interface Tensor {
  readonly name: string;
  readonly dims: readonly number[];
}

/** Tensors of a llama: `blockCount` blocks, rows of `width` weights. */
function llama(
  { blockCount = 8, width = 256, keyWidth = 128, tied = false, expertCount = 0 } = {},
): Tensor[] {
  const blocks = Array.from({ length: blockCount }, (_, index): Tensor[] => {
    const at = `blk.${index}.`;
    return [
      { name: `${at}attn_norm.weight`, dims: [width] },
      { name: `${at}attn_q.weight`, dims: [width, width] },
      { name: `${at}attn_k.weight`, dims: [width, keyWidth] },
      { name: `${at}attn_v.weight`, dims: [width, keyWidth] },
      { name: `${at}attn_output.weight`, dims: [width, width] },
      ...expertCount > 0
        ? [
          { name: `${at}ffn_gate_inp.weight`, dims: [width, expertCount] },
          { name: `${at}ffn_gate_exps.weight`, dims: [width, 512, expertCount] },
          { name: `${at}ffn_down_exps.weight`, dims: [512, width, expertCount] },
        ]
        : [
          { name: `${at}ffn_gate.weight`, dims: [width, 512] },
          { name: `${at}ffn_down.weight`, dims: [512, width] },
        ],
    ];
  });
  const output = tied ? [] : [{ name: "output.weight", dims: [width, 288] }];
  return [{ name: "token_embd.weight", dims: [width, 288] }, ...blocks.flat(), ...output];
}

function typesOf(tensors: readonly Tensor[], quant: Quant): Record<string, WeightType> {
  return Object.fromEntries(
    [...chooseTypes(tensors, quant)].map(([name, { type }]) => [name, type]),
  );
}

/** Types of one kind of tensor, block by block. */
function kind(types: Record<string, WeightType>, name: string): string {
  return Object.entries(types).filter(([each]) => each.endsWith(`.${name}.weight`))
    .map(([, type]) => type).join(" ");
}

Deno.test("chooseTypes() gives every matrix a plain type, and nothing to vectors", () => {
  const tensors = llama();
  for (const quant of QUANTS.filter((each) => !each.endsWith("_M"))) {
    const types = typesOf(tensors, quant);
    assertEquals(Object.keys(types).length, tensors.length - 8);
    assertEquals(new Set(Object.values(types)), new Set([quant]));
  }
});

Deno.test("chooseTypes() gives Q4_K_M and Q5_K_M more bits where llama.cpp does", () => {
  for (const [quant, main] of [["Q4_K_M", "Q4_K"], ["Q5_K_M", "Q5_K"]] as const) {
    const types = typesOf(llama(), quant);
    // The first eighth, the last eighth, and blocks 3 and 6 between.
    const mixed = [0, 1, 2, 3, 4, 5, 6, 7].map((b) => [0, 3, 6, 7].includes(b) ? "Q6_K" : main);
    assertEquals(kind(types, "attn_v"), mixed.join(" "));
    assertEquals(kind(types, "ffn_down"), mixed.join(" "));
    for (const name of ["attn_q", "attn_k", "attn_output", "ffn_gate"]) {
      assertEquals(kind(types, name), Array(8).fill(main).join(" "));
    }
    assertEquals([types["token_embd.weight"], types["output.weight"]], [main, "Q6_K"]);
  }
});

Deno.test("chooseTypes() gives Q3_K_M more bits for values, outputs and down", () => {
  const types = typesOf(llama({ blockCount: 17 }), "Q3_K_M");
  assertEquals(kind(types, "attn_v"), ["Q5_K", "Q5_K", ...Array(15).fill("Q4_K")].join(" "));
  assertEquals(kind(types, "ffn_down"), ["Q5_K", ...Array(16).fill("Q4_K")].join(" "));
  assertEquals(kind(types, "attn_output"), Array(17).fill("Q4_K").join(" "));
  assertEquals(kind(types, "attn_q"), Array(17).fill("Q3_K").join(" "));
});

Deno.test("chooseTypes() gives a tied embedding table the output's type in mixtures", () => {
  assertEquals(typesOf(llama({ tied: true }), "Q4_K_M")["token_embd.weight"], "Q6_K");
  assertEquals(typesOf(llama({ tied: true }), "Q4_K")["token_embd.weight"], "Q4_K");
});

Deno.test("chooseTypes() gives what makes logits another type where that is asked for", () => {
  for (
    const [tied, name, other] of [
      [true, "token_embd.weight", "blk.0.attn_q.weight"],
      [false, "output.weight", "token_embd.weight"],
    ] as const
  ) {
    for (const quant of ["Q4_0", "Q4_K_M"] as const) {
      const chosen = chooseTypes(llama({ tied }), quant, { outputType: "Q8_0" });
      assertEquals(chosen.get(name)?.type, "Q8_0");
      assertEquals(chosen.get(other)?.type, quant === "Q4_0" ? "Q4_0" : "Q4_K");
    }
  }
});

Deno.test("chooseTypes() knows the mixture of eight experts and that of 80 blocks", () => {
  const mixtral = typesOf(llama({ expertCount: 8 }), "Q4_K_M");
  assertEquals(kind(mixtral, "attn_v"), Array(8).fill("Q8_0").join(" "));
  assertEquals(kind(mixtral, "attn_k"), Array(8).fill("Q8_0").join(" "));
  assertEquals(kind(mixtral, "attn_output"), Array(8).fill("Q5_K").join(" "));
  assertEquals(mixtral["blk.0.ffn_gate_inp.weight"], undefined);
  const large = typesOf(llama({ blockCount: 80 }), "Q4_K_M");
  assertEquals(kind(large, "attn_v").includes("Q4_K"), false);
  assertEquals(kind(large, "attn_v").includes("Q5_K"), true);
  const ungrouped = typesOf(llama({ blockCount: 80, keyWidth: 256 }), "Q4_K_M");
  assertEquals(kind(ungrouped, "attn_v").includes("Q5_K"), false);
});

Deno.test("chooseTypes() falls back where rows are no multiple of the block, and says so", () => {
  const wanted: [Quant, WeightType][] = [
    ["Q2_K", "Q4_0"],
    ["Q3_K", "Q4_0"],
    ["Q4_K", "Q5_0"],
    ["Q5_K", "Q5_1"],
    ["Q6_K", "Q8_0"],
    ["IQ4_XS", "IQ4_NL"],
    ["Q4_0", "Q4_0"],
    ["F16", "F16"],
  ];
  const name = "blk.0.attn_q.weight";
  for (const [quant, type] of wanted) {
    const chosen = chooseTypes([{ name, dims: [96, 10] }], quant);
    assertEquals(chosen.get(name), { type, wanted: quant as WeightType });
  }
  for (const quant of ["Q4_K", "Q4_0", "MXFP4"] as const) {
    const chosen = chooseTypes([{ name, dims: [100, 10] }], quant);
    assertEquals(chosen.get(name), { type: "F16", wanted: quant });
  }
  const output = chooseTypes([{ name: "output.weight", dims: [96, 10] }], "Q4_K_M");
  assertEquals(output.get("output.weight")?.type, "Q8_0");
});

Deno.test("chooseTypes() makes MXFP4 of experts alone where there are some", () => {
  const types = typesOf(llama({ blockCount: 1, expertCount: 4 }), "MXFP4");
  assertEquals(types["blk.0.ffn_gate_exps.weight"], "MXFP4");
  assertEquals(types["blk.0.ffn_down_exps.weight"], "MXFP4");
  const others = Object.entries(types).filter(([name]) => !name.includes("_exps"));
  assertEquals(new Set(others.map(([, type]) => type)), new Set(["Q8_0"]));
  assertEquals(new Set(Object.values(typesOf(llama(), "MXFP4"))), new Set(["MXFP4"]));
});

Deno.test("chooseTypes() leaves norms, biases, routers and predictors as they are", () => {
  const kept = [
    "blk.0.attn_norm.weight",
    "blk.0.ffn_gate_inp.weight",
    "blk.0.attn_q.bias",
    "blk.3.fc1.weight",
    "blk.3.ffn_fc1_exps.weight",
    "blk.3.fc2.weight",
    "blk.0.ssm_conv1d.weight",
    "position_embd.weight",
    "rope_freqs",
    ...["altup_proj.weight", "blk.0.altup_router.weight", "blk.0.laurel_l.weight"],
  ].map((name) => ({ name, dims: [256, 256] }));
  const vectors = [[256], [256, 1], [256, 1, 1]].map((dims) => ({ name: "x.weight", dims }));
  assertEquals(chooseTypes([...kept, ...vectors], "Q4_0").size, 0);
  assertEquals(chooseTypes([{ name: "x.weight", dims: [256, 1, 2] }], "Q4_0").size, 1);
});
