/** The word of proxies and of NATS on their configurations, where they are installed. */
import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { existsSync } from "node:fs";
import { proxyEnv } from "../bench/replica_processes.ts";

const path = (name: string) => fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url));

const CHECKS = [
  { program: "/usr/sbin/haproxy", args: ["-c", "-q", "-f", path("haproxy.cfg")], said: "" },
  { program: "/usr/sbin/nginx", args: ["-t", "-q", "-c", path("nginx.conf")], said: "" },
  {
    program: "/usr/sbin/nats-server",
    args: ["-t", "-c", path("nats.conf")],
    said: `nats-server: configuration file ${path("nats.conf")} is valid\n`,
  },
] as const;

/** What deploy/nats.conf reads from its environment. */
const NATS_ENV = { NATS_USER: "me", NATS_PASSWORD: "secret", NATS_STORE: "/tmp" };

for (const { program, args, said } of CHECKS) {
  const isThere = existsSync(program);
  Deno.test({
    name: `${program} takes the configuration of deploy/${
      isThere ? "" : " [skipped: it is not installed]"
    }`,
    ignore: !isThere,
    fn: async () => {
      const addresses = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"];
      const env = {
        ...proxyEnv("127.0.0.1:18080", addresses, { firstByte: "60s" }),
        ...NATS_ENV,
      };
      const { code, stderr } = await new Deno.Command(program, { args: [...args], env }).output();
      assertEquals([code, new TextDecoder().decode(stderr)], [0, said]);
    },
  });
}
