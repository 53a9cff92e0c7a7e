/** The store in NATS: what every store must do, and what is its own. */
import { openNatsStore } from "../../src/batch/nats/nats_store.ts";
import { parseQueueAddress } from "../../src/batch/nats/queue_address.ts";
import { natsMissing, NatsServer } from "../support/nats_server.ts";
import { testStore } from "./store_contract.ts";

testStore({
  name: natsMissing === null ? "NATS" : `NATS [skipped: ${natsMissing}]`,
  ignore: natsMissing !== null,
  newWorld: async () => {
    const server = await NatsServer.create();
    const address = parseQueueAddress(server.url);
    return {
      open: (options) => openNatsStore({ address, ...options }),
      close: () => server[Symbol.asyncDispose](),
    };
  },
});
