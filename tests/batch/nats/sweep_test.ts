/** What `NatsJobs.sweep()` removes: what came for batches that were closed before. */
import { assertEquals } from "@std/assert";
import { newId } from "../../../src/batch/batch_store.ts";
import { NatsBatches } from "../../../src/batch/nats/batch_table.ts";
import { NatsJobs } from "../../../src/batch/nats/job_queue.ts";
import { NatsLink } from "../../../src/batch/nats/link.ts";
import { openNatsStore, parseQueueAddress } from "../../../src/batch/nats/mod.ts";
import { Messages } from "../../../src/batch/nats/messages.ts";
import { JOBS, RESULTS, STATE, subject, token } from "../../../src/batch/nats/streams.ts";
import { assertSoon } from "../../support/assert_soon.ts";
import { natsTest } from "../../support/nats_server.ts";
import { answer, batchRecord, line, lines, takeSoon, text } from "../store_world.ts";

natsTest(
  "NatsJobs.sweep() removes what came late for closed batches, and only that",
  async (server) => {
    const address = parseQueueAddress(server.url);
    await (await openNatsStore({ address })).close();
    const link = new NatsLink({ address, setUp: () => Promise.resolve() });
    await link.tried;
    const jobs = new NatsJobs(link, { leaseMs: 10_000, attemptsMax: 3 });
    const [batches, queue] = [new NatsBatches(link), new Messages(link, JOBS)];
    const counts = () =>
      Promise.all(
        ([[JOBS, "jobs"], [RESULTS, "results"], [STATE, "leases"]] as const).map(
          async ([stream, kind]) =>
            (await new Messages(link, stream).subjects(subject(kind, "*", "*"))).length,
        ),
      );
    try {
      const [gone, open] = [newId("batch_", 1), newId("batch_", 2)];
      const { record, version } = await batches.create(batchRecord({ id: gone }));
      await batches.create(batchRecord({ id: open }));
      await jobs.enqueue(gone, lines(2));
      const [late, later] = [await takeSoon({ jobs }), await takeSoon({ jobs })];
      await jobs.enqueue(open, lines(3));
      await (await takeSoon({ jobs })).finish(answer(0, 200));
      await (await takeSoon({ jobs })).giveBack({ isAttempt: false, delayMs: 60_000 });
      await jobs.drop(gone);
      await batches.replace({ ...record, isOpen: false }, version);
      await assertSoon(counts, [2, 1, 1]);
      // An answer, a lease and a job of those who did not know.
      await late.finish(answer("late", 200));
      await later.giveBack({ isAttempt: false });
      await queue.put(subject("jobs", token(gone), 7), { data: text(JSON.stringify(line(7))) });
      await assertSoon(counts, [3, 2, 2]);
      assertEquals([await jobs.sweep(), await jobs.sweep()], [1, 0]);
      await assertSoon(counts, [2, 1, 1]);
      assertEquals((await jobs.progress(open)).completed, 1);
    } finally {
      jobs.close();
      await link.close();
    }
  },
);
