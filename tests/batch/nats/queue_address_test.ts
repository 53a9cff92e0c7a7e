import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../../src/base/errors.ts";
import { parseQueueAddress } from "../../../src/batch/nats/mod.ts";

Deno.test("parseQueueAddress() reads hosts, ports, who asks, and replicas", () => {
  const plain = { isEncrypted: false, replicaCount: 1 };
  assertEquals(parseQueueAddress("nats://localhost"), { servers: ["localhost:4222"], ...plain });
  assertEquals(parseQueueAddress("nats://me:p%40ss@h:1?replicas=3"), {
    ...{ servers: ["h:1"], user: "me", password: "p@ss" },
    ...{ isEncrypted: false, replicaCount: 3 },
  });
  assertEquals(parseQueueAddress("nats://token@h"), {
    ...{ servers: ["h:4222"], token: "token" },
    ...plain,
  });
  assertEquals(parseQueueAddress("tls://me:x@a, tls://[::1]:9"), {
    ...{ servers: ["a:4222", "[::1]:9"], user: "me", password: "x" },
    ...{ isEncrypted: true, replicaCount: 1 },
  });
});

Deno.test("parseQueueAddress() refuses what is no address, without a word of its secrets", () => {
  const bad = [
    "",
    "redis://me:secret@h",
    "nats:h",
    "nats://me:secret@h/path",
    "nats://me:secret@h?retries=1",
    "nats://me:secret%ZZ@h",
    "nats://me:secret@h?replicas=0",
    "nats://me:secret@h?replicas=6",
    "nats://me:secret@h,tls://g",
  ];
  for (const text of bad) {
    const error = assertThrows(() => parseQueueAddress(text), UsageError, "Cannot use --queue: ");
    assertEquals(error.message.includes("secret"), false);
  }
});
