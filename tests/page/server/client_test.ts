import { assertEquals, assertRejects } from "@std/assert";
import { Client } from "../../../src/page/server/client.ts";
import { PageError } from "../../../src/page/server/errors.ts";

/** A client of a server that wants a key; the person's answers come one after the other. */
async function withLocked(
  answers: (string | null)[],
  use: (client: Client, asked: () => number) => Promise<void>,
): Promise<void> {
  const { fetch } = globalThis;
  let asked = 0;
  globalThis.fetch = (_path, init) => {
    const isGood = new Headers(init?.headers).get("authorization") === "Bearer good";
    return Promise.resolve(Response.json({}, { status: isGood ? 200 : 401 }));
  };
  sessionStorage.clear();
  try {
    const askKey = () => Promise.resolve(answers[asked++] ?? null);
    await use(new Client({ askKey }), () => asked);
  } finally {
    globalThis.fetch = fetch;
    sessionStorage.clear();
  }
}

Deno.test("Client.fetch() does not ask again who gave no key, until they act", () =>
  withLocked([null, null, "good"], async (client, asked) => {
    for (let i = 0; i < 3; i++) await assertRejects(() => client.fetch("/models"), PageError);
    assertEquals(asked(), 1);
    await assertRejects(() => client.post("/v1/chat/completions", {}), PageError);
    await assertRejects(() => client.fetch("/models"), PageError);
    assertEquals(asked(), 2);
    client.askAgain();
    assertEquals((await client.fetch("/models")).status, 200);
    assertEquals(asked(), 3);
  }));

Deno.test("Client.fetch() asks again at once where the key is wrong", () =>
  withLocked(["bad", "good"], async (client, asked) => {
    assertEquals((await client.fetch("/models")).status, 200);
    assertEquals(asked(), 2);
  }));
