/**
 * What somebody wrote, as an object of a known shape: the answer is held to a JSON Schema.
 *
 *   deno run --allow-read --allow-sys=systemMemoryInfo examples/fill_form.ts [MODEL.gguf]
 */
import { Engine } from "ganglion";

interface Order {
  readonly product: "bread" | "cheese" | "tea";
  readonly count: number;
}

const ORDER_SCHEMA = {
  type: "object",
  properties: {
    product: { enum: ["bread", "cheese", "tea"] },
    count: { type: "integer", minimum: 1, maximum: 99 },
  },
  required: ["product", "count"],
  additionalProperties: false,
};

await using engine = await Engine.load(Deno.args[0]);

const answer = engine.chat([
  { role: "system", content: "Put the order into JSON with its product and its count." },
  { role: "user", content: "Good morning! Two loaves of bread, please." },
], { temperature: 0, grammar: { kind: "jsonSchema", schema: ORDER_SCHEMA } });

const order: Order = JSON.parse(await answer.text());
console.log(`${order.count} × ${order.product}`);
